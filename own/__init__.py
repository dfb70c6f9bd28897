"""Your own networks and data sets: DVC watches this folder, so that an edit trains again.

own/my_model.py:

    def build(input_shape, classes, *, units=32):
        return keras.Sequential([keras.Input(input_shape), ..., a softmax over the classes])

    dvc exp run -S model=own -S model.function=own.my_model:build -S +model.arguments.units=64

own/my_data.py, a function without arguments that gives x_train, y_train, x_test, y_test (uint8
images, labels from 0):

    dvc exp run -S data.source=own.my_data:load -S 'data.classes=[cat,dog]' ...
"""

"""Which learning rate suits a network, whatever it is? Tasks, trainings, rules and tuners."""

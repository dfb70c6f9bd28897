"""What differs between arms, and how sure are we?"""

"""The one kind of failure that a person can mend: its words say what is wrong and what to do. No stack is printed."""


class TrainingFailure(Exception):
    """Something outside the code is not as it must be: a file, an option, the data."""

"""The top: the local stack, the one Spark application and the demo."""

"""Alert packets to detections: surveys as data, decoding, the Spark source and the hot lane."""

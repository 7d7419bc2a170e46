"""The only door to AWS. Takes values, gives dataclasses, and turns AWS's errors into ours. Knows no model."""

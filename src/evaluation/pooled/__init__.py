"""The cross-section of an asset class: who is eligible, what is predicted, what is traded and how it is graded."""

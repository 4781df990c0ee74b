"""Networks: teachers and students, and what they are built from."""

"""What the lab is for: the story that `make demo` tells, and the faults that can be put in force."""

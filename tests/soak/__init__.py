"""What runs for minutes or hours: load, faults and fuzzing, each with a short version for every day."""

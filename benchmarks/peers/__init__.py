"""What a competent user would write with other packages; ``requirements.txt`` is what it needs."""

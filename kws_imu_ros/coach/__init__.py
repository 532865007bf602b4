"""What a pupil's wrist did of a dance: compared with the teacher's, and said in one sentence."""

"""What a round costs against what a researcher would run instead (`make bench`)."""

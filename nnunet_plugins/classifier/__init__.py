"""From the segmented lesions to a diagnosis: a network that classifies patients, and its evaluation."""

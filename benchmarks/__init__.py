"""What genkit costs, measured beside the vendor's SDK: see README.md. No test depends on these figures."""

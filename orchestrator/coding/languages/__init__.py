"""What is known of the languages that files are in: names, whether a text parses, JavaScript read without a parser."""

"""HTTP callbacks: statuses and incoming messages, told to the account's URL."""

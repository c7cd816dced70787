"""HTTP callbacks: reports and incoming messages as requests to the account's URL."""

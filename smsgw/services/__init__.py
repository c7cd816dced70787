"""What the gateway does: intake, routing, dispatch, receipts, outbox, accounts."""

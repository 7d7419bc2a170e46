"""What the system can do: one module a verb. Each checks, writes, records and queues in one transaction."""

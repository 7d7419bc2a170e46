"""System checks: settings that would fail later are said at start-up."""

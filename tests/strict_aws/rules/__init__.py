"""What AWS refuses and how it rewrites what it takes. Pure: knows no network, no emulator and no clock."""

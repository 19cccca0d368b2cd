"""What people look at: tables, plans, progress, figures. Nothing here decides anything."""

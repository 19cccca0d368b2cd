"""Why a run failed, is stuck or cannot be trusted: rules over its files. Imports no torch."""

"""The units of cached work, a file each: a stage and the artifacts it needs become an artifact."""

"""The units of cached work, a file each: a stage and the artifacts it needs become an artifact.

Such a file has ``VERSION``; ``run(stage, context, folder)``, which writes the artifact and returns its
summary; ``memory(stage, needs)``, the bytes that its work holds. ``bench.planning.graph`` puts them in order.
"""

from bench import environment

environment.claim_packages()

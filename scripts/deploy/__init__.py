"""Writes deploy/ anew: a Helm chart and a kustomize base, both of what `render` makes.

What a Pod needs stands in backup_manager/render alone. Here its code makes objects of a Backup
whose fields hold slots in place of values (``worlds``); each field is left away once, which tells
what of the objects hangs on it (``tree``); and that is written down as Helm's templates
(``gotemplate``, ``chart``). For kustomize the flags become variables (``base``).
"""

"""The Backup object of TiDB Operator: settings are read from it, and its status told in it.

Nothing here is imported, and no cluster looked for, unless ``--backupName`` names an object.
"""

{{- /* The name of all that is made: it is the backup's too, as metadata.name is that of a Backup. */}}
{{- define "backup-manager.name" -}}
{{- $.Values.fullnameOverride | default $.Release.Name }}
{{- end }}

{{- define "backup-manager.chart" -}}
{{- printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Refuse what would only fail in a Pod, at night; the schema has refused misspellings before. */}}
{{- define "backup-manager.checks" -}}
{{- $given := dict }}
{{- range $.Values.env }}
{{- $_ := set $given .name true }}
{{- end }}
{{- $name := include "backup-manager.name" $ }}
{{- $longest := ternary 52 63 (not (empty $.Values.schedule)) }}
{{- if gt (len $name) $longest }}
{{- fail (printf "the name %s has %d characters, and may have %d: give a shorter one, as fullnameOverride" $name (len $name) $longest) }}
{{- end }}
{{- if not $.Values.image }}
{{- fail "image is not set: name the image of backup-manager, such as --set image=REGISTRY/backup-manager:0.1.0" }}
{{- end }}
{{- if not (or $.Values.from.host (hasKey $given "BACKUP_MANAGER_HOST")) }}
{{- fail "from.host is not set: name the host of TiDB, such as --set from.host=demo1-tidb" }}
{{- end }}
{{- if not (or $.Values.from.secretName (hasKey $given "BACKUP_MANAGER_PASSWORD") (hasKey $given "BACKUP_MANAGER_PASSWORD_FILE") (hasKey $given "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD")) }}
{{- fail "from.secretName is not set: name the Secret whose key password has the account's password" }}
{{- end }}
{{- if not (or $.Values.s3.bucket (hasKey $given "BACKUP_MANAGER_BUCKET")) }}
{{- fail "s3.bucket is not set: name the bucket, such as --set s3.bucket=backups" }}
{{- end }}
{{- if and $.Values.createServiceAccount (not $.Values.serviceAccount) }}
{{- fail "createServiceAccount is set, and serviceAccount is not: name the account" }}
{{- end }}
{{- range $label := list "tidb.pingcap.com/backup" "tidb.pingcap.com/backup-schedule" }}
{{- if hasKey $.Values.labels $label }}
{{- fail (printf "labels has %s, which is the name of the release: leave it away" $label) }}
{{- end }}
{{- end }}
{{- end }}

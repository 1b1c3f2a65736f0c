{{- /* Made by `make deploy` of what render makes: change that, and not this. */}}
{{- define "backup-manager.jobSpec" -}}
{{- include "backup-manager.checks" $ }}
{{- $env := dict }}
{{- $placed := dict }}
{{- range $.Values.env }}
{{- $_ := set $env .name . }}
{{- end -}}
backoffLimit: 6
podFailurePolicy:
  rules:
  - action: FailJob
    onExitCodes:
      containerName: backup
      operator: In
      values:
      - 2
  - action: Ignore
    onPodConditions:
    - type: DisruptionTarget
      status: "True"
{{- if not (kindIs "invalid" $.Values.ttlSecondsAfterFinished) }}
ttlSecondsAfterFinished: {{ int64 $.Values.ttlSecondsAfterFinished | toJson }}
{{- end }}
template:
  metadata:
    labels:
{{- if $.Values.labels }}
{{- range $key, $value := omit $.Values.labels "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/managed-by" "tidb.pingcap.com/backup" "tidb.pingcap.com/backup-schedule" }}
{{- if not (kindIs "invalid" $value) }}
{{- dict $key $value | toYaml | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}
      app.kubernetes.io/name: backup
      app.kubernetes.io/instance: {{ include "backup-manager.name" $ | toJson }}
      app.kubernetes.io/managed-by: backup-manager
{{- if not $.Values.schedule }}
      tidb.pingcap.com/backup: {{ include "backup-manager.name" $ | toJson }}
{{- end }}
{{- if $.Values.schedule }}
      tidb.pingcap.com/backup-schedule: {{ include "backup-manager.name" $ | toJson }}
{{- end }}
{{- if $.Values.annotations }}
    annotations:
{{- toYaml $.Values.annotations | nindent 6 }}
{{- end }}
  spec:
    restartPolicy: Never
    enableServiceLinks: false
    terminationGracePeriodSeconds: 30
{{- if $.Values.automountServiceAccountToken }}
    automountServiceAccountToken: true
{{- else }}
    automountServiceAccountToken: false
{{- end }}
{{- if $.Values.serviceAccount }}
    serviceAccountName: {{ $.Values.serviceAccount | toJson }}
{{- end }}
{{- if $.Values.priorityClassName }}
    priorityClassName: {{ $.Values.priorityClassName | toJson }}
{{- end }}
{{- if $.Values.imagePullSecrets }}
    imagePullSecrets:
{{- toYaml $.Values.imagePullSecrets | nindent 4 }}
{{- end }}
{{- if $.Values.affinity }}
    affinity:
{{- toYaml $.Values.affinity | nindent 6 }}
{{- end }}
{{- if $.Values.tolerations }}
    tolerations:
{{- toYaml $.Values.tolerations | nindent 4 }}
{{- end }}
    securityContext:
{{- if not (hasKey ($.Values.podSecurityContext | default dict) "runAsNonRoot") }}
      runAsNonRoot: true
{{- end }}
{{- if not (hasKey ($.Values.podSecurityContext | default dict) "runAsUser") }}
      runAsUser: 65532
{{- end }}
{{- if not (hasKey ($.Values.podSecurityContext | default dict) "fsGroup") }}
      fsGroup: 65532
{{- end }}
{{- if not (hasKey ($.Values.podSecurityContext | default dict) "fsGroupChangePolicy") }}
      fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- if not (hasKey ($.Values.podSecurityContext | default dict) "seccompProfile") }}
      seccompProfile:
        type: RuntimeDefault
{{- end }}
{{- if $.Values.podSecurityContext }}
{{- range $key, $value := $.Values.podSecurityContext }}
{{- if not (kindIs "invalid" $value) }}
{{- dict $key $value | toYaml | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}
{{- if $.Values.toolImage }}
    initContainers:
    - name: dumpling
      image: {{ $.Values.toolImage | toJson }}
      command:
      - /bin/sh
      - "-c"
      args:
      - "cp /dumpling /var/lib/dumpling-bin/dumpling"
{{- if $.Values.resources }}
      resources:
{{- toYaml $.Values.resources | nindent 8 }}
{{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop:
          - ALL
      volumeMounts:
      - name: dumpling-bin
        mountPath: /var/lib/dumpling-bin
{{- end }}
    containers:
    - name: backup
      image: {{ $.Values.image | toJson }}
      args:
      - export
{{- if and $.Values.from.host (not (hasKey $env "BACKUP_MANAGER_HOST")) }}
      - {{ printf "--host=%s" (replace "$" "$$" $.Values.from.host) | toJson }}
{{- end }}
{{- if and $.Values.from.port (not (hasKey $env "BACKUP_MANAGER_PORT")) }}
      - {{ printf "--port=%d" (int64 $.Values.from.port) | toJson }}
{{- end }}
{{- if and $.Values.from.user (not (hasKey $env "BACKUP_MANAGER_USER")) }}
      - {{ printf "--user=%s" (replace "$" "$$" $.Values.from.user) | toJson }}
{{- end }}
{{- if and $.Values.s3.provider (not (hasKey $env "BACKUP_MANAGER_PROVIDER")) (not (hasKey $env "S3_PROVIDER")) }}
      - {{ printf "--provider=%s" (replace "$" "$$" $.Values.s3.provider) | toJson }}
{{- end }}
{{- if and $.Values.s3.endpoint (not (hasKey $env "BACKUP_MANAGER_ENDPOINT")) (not (hasKey $env "S3_ENDPOINT")) }}
      - {{ printf "--endpoint=%s" (replace "$" "$$" $.Values.s3.endpoint) | toJson }}
{{- end }}
{{- if and $.Values.s3.region (not (hasKey $env "AWS_REGION")) (not (hasKey $env "BACKUP_MANAGER_REGION")) }}
      - {{ printf "--region=%s" (replace "$" "$$" $.Values.s3.region) | toJson }}
{{- end }}
{{- if and $.Values.s3.bucket (not (hasKey $env "BACKUP_MANAGER_BUCKET")) }}
      - {{ printf "--bucket=%s" (replace "$" "$$" $.Values.s3.bucket) | toJson }}
{{- end }}
{{- if and $.Values.s3.prefix (not (hasKey $env "BACKUP_MANAGER_PREFIX")) }}
      - {{ printf "--prefix=%s" (replace "$" "$$" $.Values.s3.prefix) | toJson }}
{{- end }}
{{- if and (not $.Values.s3.forcePathStyle) (not (kindIs "invalid" $.Values.s3.forcePathStyle)) (not (hasKey $env "BACKUP_MANAGER_S3_ADDRESSING")) }}
      - --s3-addressing=virtual
{{- end }}
{{- if and $.Values.s3.forcePathStyle (not (hasKey $env "BACKUP_MANAGER_S3_ADDRESSING")) }}
      - --s3-addressing=path
{{- end }}
{{- if and $.Values.s3.options (not (hasKey $env "BACKUP_MANAGER_S3_OPTION")) }}
{{- range $.Values.s3.options }}
      - {{ printf "--s3-option=%s" (replace "$" "$$" .) | toJson }}
{{- end }}
{{- end }}
{{- if and $.Values.s3.storageClass (not (hasKey $env "AWS_STORAGE_CLASS")) (not (hasKey $env "BACKUP_MANAGER_STORAGE_CLASS")) }}
      - {{ printf "--storage-class=%s" (replace "$" "$$" $.Values.s3.storageClass) | toJson }}
{{- end }}
{{- if and $.Values.s3.acl (not (hasKey $env "AWS_ACL")) (not (hasKey $env "BACKUP_MANAGER_ACL")) }}
      - {{ printf "--acl=%s" (replace "$" "$$" $.Values.s3.acl) | toJson }}
{{- end }}
{{- if and $.Values.s3.sse (not (hasKey $env "BACKUP_MANAGER_SSE")) }}
      - {{ printf "--sse=%s" (replace "$" "$$" $.Values.s3.sse) | toJson }}
{{- end }}
{{- if and $.Values.dumpling.options (not (hasKey $env "BACKUP_MANAGER_DUMPLING_OPTION")) }}
{{- range $.Values.dumpling.options }}
      - {{ printf "--dumpling-option=%s" (replace "$" "$$" .) | toJson }}
{{- end }}
{{- end }}
{{- if and $.Values.dumpling.tableFilter (not $.Values.tableFilter) (not (hasKey $env "BACKUP_MANAGER_TABLE_FILTER")) }}
{{- range $.Values.dumpling.tableFilter }}
      - {{ printf "--table-filter=%s" (replace "$" "$$" .) | toJson }}
{{- end }}
{{- end }}
{{- if and $.Values.tableFilter (not (hasKey $env "BACKUP_MANAGER_TABLE_FILTER")) }}
{{- range $.Values.tableFilter }}
      - {{ printf "--table-filter=%s" (replace "$" "$$" .) | toJson }}
{{- end }}
{{- end }}
{{- if and $.Values.tikvGCLifeTime (not (hasKey $env "BACKUP_MANAGER_GC_LIFE_TIME")) }}
      - {{ printf "--gc-life-time=%s" (replace "$" "$$" $.Values.tikvGCLifeTime) | toJson }}
{{- end }}
{{- if and $.Values.schedule (not (hasKey $env "BACKUP_MANAGER_SCHEDULE")) }}
      - {{ printf "--schedule=%s" (include "backup-manager.name" $) | toJson }}
{{- end }}
{{- if and $.Values.maxReservedTime $.Values.schedule (not (hasKey $env "BACKUP_MANAGER_MAX_RESERVED_TIME")) }}
      - {{ printf "--max-reserved-time=%s" (replace "$" "$$" $.Values.maxReservedTime) | toJson }}
{{- end }}
{{- if and (not (kindIs "invalid" $.Values.maxBackups)) $.Values.schedule (not (hasKey $env "BACKUP_MANAGER_MAX_BACKUPS")) }}
      - {{ printf "--max-backups=%d" (int64 $.Values.maxBackups) | toJson }}
{{- end }}
{{- if and $.Values.from.tlsClientSecretName (not (hasKey $env "BACKUP_MANAGER_CLIENT_TLS")) }}
      - --client-tls
{{- end }}
{{- if not (hasKey $env "BACKUP_MANAGER_NAME") }}
      - --name=$(JOB_NAME)
{{- end }}
{{- if not (hasKey $env "BACKUP_MANAGER_OWNER_UID") }}
      - --owner-uid=$(JOB_UID)
{{- end }}
      env:
{{- if and (not $.Values.useKMS) $.Values.from.secretName }}
{{- if hasKey $env "BACKUP_MANAGER_PASSWORD" }}
      - {{ get $env "BACKUP_MANAGER_PASSWORD" | toJson }}
{{- $_ := set $placed "BACKUP_MANAGER_PASSWORD" true }}
{{- else }}
      - name: BACKUP_MANAGER_PASSWORD
        valueFrom:
          secretKeyRef:
            name: {{ $.Values.from.secretName | toJson }}
            key: password
{{- end }}
{{- end }}
{{- if and $.Values.useKMS $.Values.from.secretName }}
{{- if hasKey $env "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD" }}
      - {{ get $env "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD" | toJson }}
{{- $_ := set $placed "KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD" true }}
{{- else }}
      - name: KMS_ENCRYPTED_BACKUP_MANAGER_PASSWORD
        valueFrom:
          secretKeyRef:
            name: {{ $.Values.from.secretName | toJson }}
            key: password
{{- end }}
{{- end }}
{{- if and $.Values.useKMS $.Values.from.secretName $.Values.s3.region }}
{{- if hasKey $env "AWS_DEFAULT_REGION" }}
      - {{ get $env "AWS_DEFAULT_REGION" | toJson }}
{{- $_ := set $placed "AWS_DEFAULT_REGION" true }}
{{- else }}
      - name: AWS_DEFAULT_REGION
        value: {{ $.Values.s3.region | toJson }}
{{- end }}
{{- end }}
{{- if $.Values.s3.secretName }}
{{- if hasKey $env "AWS_ACCESS_KEY_ID" }}
      - {{ get $env "AWS_ACCESS_KEY_ID" | toJson }}
{{- $_ := set $placed "AWS_ACCESS_KEY_ID" true }}
{{- else }}
      - name: AWS_ACCESS_KEY_ID
        valueFrom:
          secretKeyRef:
            name: {{ $.Values.s3.secretName | toJson }}
            key: access_key
{{- end }}
{{- end }}
{{- if $.Values.s3.secretName }}
{{- if hasKey $env "AWS_SECRET_ACCESS_KEY" }}
      - {{ get $env "AWS_SECRET_ACCESS_KEY" | toJson }}
{{- $_ := set $placed "AWS_SECRET_ACCESS_KEY" true }}
{{- else }}
      - name: AWS_SECRET_ACCESS_KEY
        valueFrom:
          secretKeyRef:
            name: {{ $.Values.s3.secretName | toJson }}
            key: secret_key
{{- end }}
{{- end }}
{{- if hasKey $env "JOB_NAME" }}
      - {{ get $env "JOB_NAME" | toJson }}
{{- $_ := set $placed "JOB_NAME" true }}
{{- else }}
      - name: JOB_NAME
        valueFrom:
          fieldRef:
            fieldPath: "metadata.labels['batch.kubernetes.io/job-name']"
{{- end }}
{{- if hasKey $env "JOB_UID" }}
      - {{ get $env "JOB_UID" | toJson }}
{{- $_ := set $placed "JOB_UID" true }}
{{- else }}
      - name: JOB_UID
        valueFrom:
          fieldRef:
            fieldPath: "metadata.labels['batch.kubernetes.io/controller-uid']"
{{- end }}
{{- range $.Values.env }}
{{- if not (hasKey $placed .name) }}
      - {{ get $env .name | toJson }}
{{- $_ := set $placed .name true }}
{{- end }}
{{- end }}
      terminationMessagePolicy: FallbackToLogsOnError
{{- if $.Values.resources }}
      resources:
{{- toYaml $.Values.resources | nindent 8 }}
{{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop:
          - ALL
      volumeMounts:
      - name: backup
        mountPath: /backup
      - name: tmp
        mountPath: /tmp
{{- if $.Values.from.tlsClientSecretName }}
      - name: tidb-client-tls
        mountPath: /var/lib/tidb-client-tls
        readOnly: true
{{- end }}
{{- if $.Values.toolImage }}
      - name: dumpling-bin
        mountPath: /var/lib/dumpling-bin
{{- end }}
{{- if $.Values.additionalVolumeMounts }}
{{- toYaml $.Values.additionalVolumeMounts | nindent 6 }}
{{- end }}
    volumes:
    - name: backup
      persistentVolumeClaim:
        claimName: {{ include "backup-manager.name" $ | toJson }}
    - name: tmp
      emptyDir: {}
{{- if $.Values.from.tlsClientSecretName }}
    - name: tidb-client-tls
      secret:
        secretName: {{ $.Values.from.tlsClientSecretName | toJson }}
{{- end }}
{{- if $.Values.toolImage }}
    - name: dumpling-bin
      emptyDir: {}
{{- end }}
{{- if $.Values.additionalVolumes }}
{{- toYaml $.Values.additionalVolumes | nindent 4 }}
{{- end }}
{{- end }}

{{/* What the pods of both planes have in common. Each takes a dict: root, values (controlPlane or dataPlane), component. */}}

{{- define "hansa.podMetadata" -}}
annotations:
  # A changed configuration restarts the pods of this kind.
  checksum/config: {{ .values.config | sha256sum }}
  {{- with .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
# Nothing here changes with the chart's version: a restart cuts streams.
labels:
  {{- include "hansa.selector" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "hansa.podSpec" -}}
serviceAccountName: {{ include "hansa.serviceAccount" .root }}
automountServiceAccountToken: false
# Else Kubernetes would put variables of its own beside ours.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  # Keys stay readable by their owner only: modes are not changed again at each mount.
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "hansa.selector" $.root | nindent 8 }}
        app.kubernetes.io/component: {{ $.component }}
  {{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "hansa.container" -}}
image: {{ include "hansa.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml .values.resources | nindent 2 }}
lifecycle:
  preStop:
    # Time in which the cluster stops sending new connections here.
    sleep:
      seconds: 5
# Starting may take a while: migrations of the database, a volume that is slow. Alive: the process answers. Ready: every
# listener serves and the database answers; for a data plane, the store writes and it knows a control plane.
startupProbe:
  httpGet: {path: /health, port: signaling}
  periodSeconds: 2
  failureThreshold: 150
livenessProbe:
  httpGet: {path: /health, port: signaling}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /ready, port: signaling}
  periodSeconds: 5
  timeoutSeconds: 4
  failureThreshold: 2
{{- end }}

{{- define "hansa.settingsFrom" -}}
{{- with .values.settingsFrom }}
envFrom:
  {{- range . }}
  - configMapRef: {name: {{ . }}, optional: true}
  {{- end }}
{{- end }}
{{- end }}

{{- define "hansa.mounts" -}}
- {name: config, mountPath: /etc/hansa, readOnly: true}
{{- if not .root.Values.tokens.folder }}
- {name: tokens, mountPath: /run/hansa/tokens, readOnly: true}
{{- end }}
{{- if .root.Values.trustedCa.configMap }}
- {name: trusted-ca, mountPath: /etc/hansa-ca, readOnly: true}
{{- end }}
{{- range .values.secrets }}
- {name: secret-{{ . }}, mountPath: /run/hansa/secrets/{{ . }}, readOnly: true}
{{- end }}
{{- end }}

{{- define "hansa.volumes" -}}
- name: config
  configMap:
    name: {{ include "hansa.fullname" .root }}
    items:
      - {key: {{ .file }}, path: {{ .file }}}
{{- if not .root.Values.tokens.folder }}
- name: tokens
  secret:
    secretName: {{ include "hansa.tokensSecret" .root }}
    defaultMode: 0440
    items:
      {{- range .tokens }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}
{{- with .root.Values.trustedCa.configMap }}
- name: trusted-ca
  configMap:
    name: {{ . }}
    items:
      - {key: ca.crt, path: ca.crt}
{{- end }}
{{- range .values.secrets }}
- name: secret-{{ . }}
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{/* Names and labels. */}}

{{- define "hansa.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* Room is left for what is appended: "-data-planes", "-data-0". */}}
{{- define "hansa.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "hansa.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "hansa.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "hansa.data" -}}{{ include "hansa.fullname" . }}-data{{- end }}

{{- define "hansa.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{ include "hansa.selector" . }}
{{- end }}

{{- define "hansa.selector" -}}
app.kubernetes.io/name: {{ include "hansa.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hansa.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end }}

{{- define "hansa.serviceAccount" -}}
{{- default (include "hansa.fullname" .) .Values.serviceAccount.name -}}
{{- end }}

{{- define "hansa.did" -}}
{{- default (printf "did:web:%s" .Values.host) .Values.identity.did -}}
{{- end }}

{{/* "embedded" or "postgresql" */}}
{{- define "hansa.database" -}}
{{- if or .Values.database.existingSecret .Values.database.file }}postgresql{{ else }}embedded{{ end -}}
{{- end }}

{{/* Not empty when something of the control plane must outlive its pod on a volume. */}}
{{- define "hansa.controlPlaneVolume" -}}
{{- if or (eq (include "hansa.database" .) "embedded") (not .Values.identity.keysSecret) }}yes{{ end -}}
{{- end }}

{{- define "hansa.tokensSecret" -}}
{{- default (printf "%s-tokens" (include "hansa.fullname" .)) .Values.tokens.existingSecret -}}
{{- end }}

{{/* Folder of the three token files. */}}
{{- define "hansa.tokensFolder" -}}
{{- default "/run/hansa/tokens" .Values.tokens.folder -}}
{{- end }}

{{- define "hansa.tlsSecret" -}}
{{- default (printf "%s-tls" (include "hansa.fullname" .)) .Values.exposure.ingress.tlsSecret -}}
{{- end }}

{{/*
What cannot be done is refused while the chart is rendered, so before anything in the cluster changes. First what the values
alone tell, then what they would change of the installation that is there: its facts are in a ConfigMap (installation.yaml).
*/}}

{{- define "hansa.refuse" -}}
{{- $several := or (gt (int .Values.controlPlane.replicas) 1) .Values.controlPlane.autoscaling.enabled -}}
{{- if and $several (eq (include "hansa.database" .) "embedded") -}}
{{- fail "several control planes need PostgreSQL: give database.existingSecret, or set controlPlane.replicas to 1 and controlPlane.autoscaling.enabled to false" -}}
{{- end -}}
{{- if and $several (not .Values.identity.keysSecret) -}}
{{- fail "several control planes need one key that all of them see: make it with `hansa identity init`, put the folder's files into a Secret and give identity.keysSecret" -}}
{{- end -}}
{{- if and .Values.database.existingSecret .Values.database.file -}}
{{- fail "database.existingSecret and database.file are both given; one of them is enough" -}}
{{- end -}}
{{- if and .Values.tokens.existingSecret .Values.tokens.folder -}}
{{- fail "tokens.existingSecret and tokens.folder are both given; one of them is enough" -}}
{{- end -}}
{{- if and .Values.exposure.ingress.clusterIssuer .Values.exposure.ingress.issuer -}}
{{- fail "exposure.ingress.clusterIssuer and exposure.ingress.issuer are both given; one of them is enough" -}}
{{- end -}}
{{- with .Values.identity.vault -}}
{{- if and .url (not (and .key .tokenFile)) -}}
{{- fail "identity.vault.url needs identity.vault.key and identity.vault.tokenFile beside it" -}}
{{- end -}}
{{- end -}}
{{- $there := lookup "v1" "ConfigMap" .Release.Namespace (printf "%s-installation" (include "hansa.fullname" .)) -}}
{{- with $there -}}
{{- $now := include "hansa.facts" $ | fromYaml -}}
{{- if ne .data.did $now.did -}}
{{- fail (printf "this installation is %s, which its agreements name; %s would be another participant. Set identity.did to %s, or install under another release name" .data.did $now.did .data.did) -}}
{{- end -}}
{{- if ne .data.database $now.database -}}
{{- fail (printf "this installation's data is in its %s database; a change to %s would leave it behind. Go back to the former `database` values, or install under another release name" .data.database $now.database) -}}
{{- end -}}
{{- if semverCompare (printf "<%s" .data.version) $now.version -}}
{{- fail (printf "this installation has run version %s, whose database version %s cannot read. To return, restore the backup that was made before the upgrade" .data.version $now.version) -}}
{{- end -}}
{{- if ne .data.dataPlaneVolume $now.dataPlaneVolume -}}
{{- fail (printf "the volumes of the data planes are `%s`; Kubernetes does not change them to `%s`. Keep dataPlane.persistence as it is; see the manual, Kubernetes, Size" .data.dataPlaneVolume $now.dataPlaneVolume) -}}
{{- end -}}
{{- if and (gt (int .data.dataPlanes) (int $now.dataPlanes)) (not $.Values.dataPlane.dangerDropDataPlanes) -}}
{{- fail (printf "%s data planes run; with %s, the flows of the others would end. Complete or suspend their transfers, then set dataPlane.dangerDropDataPlanes to true for this upgrade" .data.dataPlanes $now.dataPlanes) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "hansa.facts" -}}
did: {{ include "hansa.did" . | quote }}
database: {{ include "hansa.database" . }}
version: {{ .Chart.AppVersion | quote }}
dataPlanes: {{ .Values.dataPlane.replicas | int | quote }}
dataPlaneVolume: {{ printf "%s %s" .Values.dataPlane.persistence.size .Values.dataPlane.persistence.storageClass | trim | quote }}
{{- end }}

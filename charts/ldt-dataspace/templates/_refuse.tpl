{{- define "ldt.refuse" -}}
{{- with .Values.broker -}}
{{- if and .enabled (not .url) -}}
{{- fail "broker.enabled needs broker.url, the address below which the broker answers" -}}
{{- end -}}
{{- if and .enabled .authorizationSecret (not (has .authorizationSecret $.Values.hansa.dataPlane.secrets)) -}}
{{- fail (printf "broker.authorizationSecret is %s, which the data planes do not mount: name it in hansa.dataPlane.secrets too" .authorizationSecret) -}}
{{- end -}}
{{- end -}}
{{- with .Values.certManager -}}
{{- if and .enabled (not (or .issuerRef.name .acme.email)) -}}
{{- fail "certManager.enabled needs certManager.issuerRef.name, an issuer that is there, or certManager.acme.email to make one" -}}
{{- end -}}
{{- if and .enabled .issuerRef.name .acme.email -}}
{{- fail "certManager.issuerRef.name and certManager.acme.email are both given; one of them is enough" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.gateway.enabled (ne .Values.hansa.exposure.kind "gateway") -}}
{{- fail "gateway.enabled needs hansa.exposure.kind gateway, so that something leads from it to Hansa" -}}
{{- end -}}
{{- if and .Values.gateway.enabled (not .Values.gateway.className) -}}
{{- fail "gateway.enabled needs gateway.className, one of `kubectl get gatewayclass`" -}}
{{- end -}}
{{- end }}

{{- define "ldt.labels" -}}
app.kubernetes.io/part-of: ldt-dataspace
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

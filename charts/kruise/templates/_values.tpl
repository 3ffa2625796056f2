{{/*
The values as the templates read them: every key present, whatever an older chart or "--reuse-values" handed over
(IN-16), and webhook.* completed from manager.* (ruling 15).

Maps with a default of their own (resources, affinity) are empty here on purpose: a key that the user removed with
"null" must not come back.
*/}}
{{- define "kruise.defaults" -}}
crds: {managed: true, keep: true}
installation: {namespace: kruise-system, createNamespace: true, roleListGroups: ["*"]}
featureGates: "ImagePullJobGate=true"
externalCerts: {annotations: {}}
enableKubeCacheMutationDetector: false
imagePullSecrets: []
imageTag: ""
imagePullPolicy: Always
manager:
  log: {level: "4"}
  replicas: 2
  image: {repository: kruise-rs/kruise-manager}
  webhook: {port: 9876}
  metrics: {port: 8080}
  healthProbe: {port: 8000}
  pprofAddr: localhost:8090
  resyncPeriod: "0"
  loggingFormat: ""
  resources: {}
  hostNetwork: false
  nodeAffinity: {}
  nodeSelector: {}
  tolerations: []
  priorityClassName: ""
  extraArgs: []
  extraEnvs: []
  serviceMonitor: {enabled: false}
  podDisruptionBudget: {enabled: false}
webhook:
  log: {}
  metrics: {}
  healthProbe: {}
  extraArgs: []
  extraEnvs: []
  podDisruptionBudget: {enabled: true}
webhookConfiguration:
  timeoutSeconds: 30
  timeouts: {}
  failurePolicy: {}
  namespaceSelector: {}
  objectSelector: {}
  matchConditions: {}
  aksIntegration: false
daemon:
  log: {level: "4"}
  port: 10221
  enablePprof: false
  pprofAddr: localhost:10222
  socketLocation: /var/run
  socketFile: ""
  nodeSelector: {}
  affinity: {}
  tolerations: [{operator: Exists}]
  resources: {}
  extraEnvs: []
  extraArgs: []
  priorityClassName: ""
  securityContext: {privileged: false}
  serviceMonitor: {enabled: false}
  credentialProvider: {enable: false, configmap: credential-provider-config, hostPath: credential-provider-plugin, awsCredentialsDir: ""}
daemonConfig: {namespace: kruise-daemon-config, createNamespace: true}
serviceAccount: {annotations: {}}
{{- end }}

{{/* A section that an older release set to nothing at all counts as absent. */}}
{{- define "kruise.values" -}}
{{- $given := dict }}
{{- range $key, $value := .Values.AsMap }}
{{- if not (kindIs "invalid" $value) }}
{{- $_ := set $given $key $value }}
{{- end }}
{{- end }}
{{- $values := mergeOverwrite (include "kruise.defaults" . | fromYaml) (deepCopy $given) }}
{{- range list "replicas" "loggingFormat" "resources" "hostNetwork" "nodeAffinity" "nodeSelector" "tolerations" "priorityClassName" }}
{{- if or (not (hasKey $values.webhook .)) (kindIs "invalid" (index $values.webhook .)) }}
{{- $_ := set $values.webhook . (index $values.manager .) }}
{{- end }}
{{- end }}
{{- range $section, $key := dict "log" "level" "metrics" "port" "healthProbe" "port" }}
{{- if not (index $values.webhook $section $key) }}
{{- $_ := set (index $values.webhook $section) $key (index $values.manager $section $key) }}
{{- end }}
{{- end }}
{{- toYaml $values }}
{{- end }}

{{/* Labels of every object. No version among them: an upgrade must not touch what it does not change. */}}
{{- define "kruise.labels" -}}
app.kubernetes.io/name: kruise
app.kubernetes.io/component: {{ . }}
{{- end }}

{{/* Registry and path of manager.image.repository, the name of the program, our tag (ruling 15). */}}
{{- define "kruise.image" -}}
{{- $path := regexReplaceAll "[^/]*$" .values.manager.image.repository "" -}}
{{- printf "%skruise-%s:%s" $path .component (.values.imageTag | default (printf "v%s" .root.Chart.AppVersion)) -}}
{{- end }}

{{/*
Whether a gate is on: "true" or "". The string is read as a list (IN-24): spaces are tolerated, a named gate wins over
AllAlpha and AllBeta in any order, and what belongs to no stage here (EnableExternalCerts, IN-23) must be named.
*/}}
{{- define "kruise.gate" -}}
{{- $named := "" }}
{{- $staged := "" }}
{{- $gate := .gate }}
{{- $stage := .stage | default "none" }}
{{- range splitList "," (toString .values.featureGates) }}
{{- $pair := splitn "=" 2 . }}
{{- $key := trim $pair._0 }}
{{- $value := ternary "on" "off" (has (trim ($pair._1 | default "") | lower) (list "true" "t" "1")) }}
{{- if eq $key $gate }}{{ $named = $value }}{{ end }}
{{- if eq $key $stage }}{{ $staged = $value }}{{ end }}
{{- end }}
{{- if eq (coalesce $named $staged .default) "on" }}true{{ end }}
{{- end }}

{{- define "kruise.gate.podWebhook" -}}
{{- include "kruise.gate" (dict "values" . "gate" "PodWebhook" "stage" "AllBeta" "default" "on") }}
{{- end }}

{{- define "kruise.gate.daemon" -}}
{{- include "kruise.gate" (dict "values" . "gate" "KruiseDaemon" "stage" "AllBeta" "default" "on") }}
{{- end }}

{{- define "kruise.gate.externalCerts" -}}
{{- include "kruise.gate" (dict "values" . "gate" "EnableExternalCerts" "default" "off") }}
{{- end }}

{{/*
Pod fields that manager, webhook and the removal check share. Linux is asked for beside the user's selector: the
images hold Linux programs.
*/}}
{{- define "kruise.placement" -}}
nodeSelector:
  {{- toYaml (merge (dict "kubernetes.io/os" "linux") .part.nodeSelector) | nindent 2 }}
{{- with .part.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Two replicas survive one node and, where zones are labelled, one zone (IN-53). */}}
{{- define "kruise.spread" -}}
affinity:
  {{- with .part.nodeAffinity }}
  nodeAffinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              control-plane: controller-manager
              app.kubernetes.io/component: {{ .component }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        control-plane: controller-manager
        app.kubernetes.io/component: {{ .component }}
    {{- if include "kruise.isKubeAtLeast" (dict "root" .root "minor" 27) }}
    matchLabelKeys: [pod-template-hash]
    {{- end }}
{{- end }}

{{/* Whether the cluster is 1.<minor> or newer: "true" or "". Vendors write minors such as "32+" (IN-7). */}}
{{- define "kruise.isKubeAtLeast" -}}
{{- $version := .root.Capabilities.KubeVersion }}
{{- if or (gt (int $version.Major) 1) (ge (regexFind "^[0-9]+" $version.Minor | int) .minor) }}true{{ end }}
{{- end }}

{{/* What the restricted Pod security standard asks for, with no capability at all. */}}
{{- define "kruise.securityContext.nonRoot" -}}
runAsNonRoot: true
runAsUser: 65534
runAsGroup: 65534
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
privileged: false
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* A ServiceAccount; secrets that an older control plane added to it stay (IN-19). */}}
{{- define "kruise.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .values.installation.namespace }}
  labels:
    {{- include "kruise.labels" .component | nindent 4 }}
  {{- with .values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- with (lookup "v1" "ServiceAccount" .values.installation.namespace .name).secrets }}
secrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The one subject of each binding. */}}
{{- define "kruise.subject" -}}
subjects:
  - kind: ServiceAccount
    name: {{ .name }}
    namespace: {{ .values.installation.namespace }}
{{- end }}

{{- define "kruise.policyVersion" -}}
{{- ternary "policy/v1" "policy/v1beta1" (.Capabilities.APIVersions.Has "policy/v1") }}
{{- end }}

{{/* Names of the definitions with more than one version, which are those that kruise-webhook converts, as a list. */}}
{{- define "kruise.convertedCRDs" -}}
{{- range $path, $bytes := .Files.Glob "crds-src/*.yaml" }}
{{- $crd := toString $bytes | fromYaml }}
{{- if gt (len $crd.spec.versions) 1 }}
- {{ $crd.metadata.name }}
{{- end }}
{{- end }}
{{- end }}

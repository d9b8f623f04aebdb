{{- $labels := dict "app.kubernetes.io/component" "jenkins-controller" "app.kubernetes.io/instance" .Release.Name }}
apiVersion: v1
kind: Service
metadata:
  name: jenkins
  namespace: {{ .Release.Namespace }}
  annotations: {{ toJson .Values.controller.serviceAnnotations }}
spec:
  type: {{ .Values.controller.serviceType }}
  {{- with .Values.controller.loadBalancerIP }}
  loadBalancerIP: {{ . }}
  {{- end }}
  selector: {{ toJson $labels }}
  ports:
    - name: http
      port: {{ .Values.controller.servicePort }}
      targetPort: 8080
      {{- with .Values.controller.nodePort }}
      nodePort: {{ . }}
      {{- end }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: jenkins
  namespace: {{ .Release.Namespace }}
data:
  plugins.txt: {{ join "\n" .Values.controller.additionalPlugins | quote }}
  agent.json: {{ toJson .Values.agent | quote }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: jenkins-jcasc
  namespace: {{ .Release.Namespace }}
data:
  {{- range $name, $script := .Values.controller.JCasC.configScripts }}
  {{ $name }}.yaml: {{ tpl $script $ | quote }}
  {{- end }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: jenkins
  namespace: {{ .Release.Namespace }}
spec:
  serviceName: jenkins
  replicas: 1
  selector:
    matchLabels: {{ toJson $labels }}
  template:
    metadata:
      labels: {{ toJson $labels }}
    spec:
      terminationGracePeriodSeconds: 1
      automountServiceAccountToken: false
      securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000}
      containers:
        - name: jenkins
          {{- with .Values.controller.image }}
          image: {{ .registry }}/{{ .repository }}:{{ .tag }}
          {{- end }}
          env:
            - name: ADMIN_USER
              valueFrom:
                secretKeyRef: {name: {{ .Values.controller.admin.existingSecret }}, key: {{ .Values.controller.admin.userKey }}}
            - name: ADMIN_PASSWORD
              valueFrom:
                secretKeyRef: {name: {{ .Values.controller.admin.existingSecret }}, key: {{ .Values.controller.admin.passwordKey }}}
          readinessProbe: {httpGet: {path: /login, port: 8080}, periodSeconds: 1}
          volumeMounts:
            - {name: home, mountPath: /var/jenkins_home}
            - {name: jcasc, mountPath: /var/jcasc}
            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: home
          {{- if .Values.persistence.enabled }}
          persistentVolumeClaim: {claimName: {{ .Values.persistence.existingClaim }}}
          {{- else }}
          emptyDir: {}
          {{- end }}
        - name: jcasc
          configMap: {name: jenkins-jcasc}
        - name: tmp
          emptyDir: {}

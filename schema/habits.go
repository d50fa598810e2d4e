package schema

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// habits say, for keys that people know from other tools, how the same is written
// here. They are found by the part of the file, a definition of the schema or the
// kind of file, and by the key in small letters without "_" and "-".
var habits = map[string]map[string]string{
	"pipeline": spread(map[string]string{
		"name":                             "write `pipeline: NAME`",
		"version apiversion":               "write `amlflow: v1`",
		"jobs tasks steps nodes":           "write `stages:`",
		"parameters arguments args":        "write `params:`",
		"vars variables":                   "write `params:`, or `env:` in a stage",
		"trigger triggers event events":    "leave it out: a run is started by `amlflow run`, or by `on: { schedule: [ … ] }`",
		"schedule schedules cron every":    "write `on: { schedule: [{ cron: \"0 3 * * *\" }] }`",
		"targets profiles engine store":    "it belongs into the workspace's file, amlflow.yaml",
		"groups users":                     "it belongs into the workspace's file, amlflow.yaml",
		"default globals global common":    "write `defaults:`",
		"image container":                  "write `defaults: { environment: { image: NAME } }`",
		"include includes import imports":  "write `uses: ./NAME.template.yaml` in a stage",
		"mutex semaphore lock":             "write `concurrency: GROUP`",
		"onexit onfailure always teardown": "write `finally:`",
	}),
	"stage": spread(map[string]string{
		"runson queue compute host machine runner nodeselector":                    "write `target: NAME`",
		"depends dependson dependencies after requires":                            "write `needs: [STAGE]`",
		"when condition only":                                                      "write `if: ${{ … }}`",
		"retries maxretries retrystrategy maxattempts":                             "write `retry: { attempts: N }`",
		"timeoutminutes timeoutseconds activedeadlineseconds":                      "write `timeout: 10m`",
		"workingdirectory workingdir workdir cwd":                                  "write `code: FOLDER`",
		"script cmd shell bash exec entrypoint bashcommand":                        "write `run: SCRIPT`",
		"pythoncallable opargs opkwargs":                                           "write `command: [python3, FILE.py]`",
		"retrydelay":                                                               "write `retry: { attempts: N, backoff: 30s }`",
		"triggerrule continueon":                                                   "write `if: ${{ always() }}` in the stage that goes on",
		"queuetimeout maxwait waittimeout queuettl pendingtimeout maxqueuetime":    "write `queue_timeout: 30m`",
		"executiontimeout maxduration deadline":                                    "write `timeout: 10m`",
		"upstream downstream dependency runafter":                                  "write `needs: [STAGE]`",
		"rules precondition preconditions except unless":                           "write `if: ${{ … }}`",
		"tags executor agent partition cluster region":                             "write `target: NAME`",
		"beforescript setup prepare":                                               "write the commands first in `run: |`",
		"afterscript post onfailure onsuccess onexit mailonerror notify handleron": "write a stage under `finally:`",
		"permissions services":                                                     "leave it out",
		"steps":                                                                    "write the commands below one another, behind `run: |`",
		"args arguments":                                                           "write `command: [PROGRAM, ARGUMENT, …]`",
		"image container docker dockerimage":                                       "write `environment: { image: NAME }`",
		"name id":                                                                  "leave it out: the stage has the name that it stands under",
		"description desc label":                                                   "write a comment: # …",
		"priorityclassname priorityclass prio nice weight urgency":                 "write `priority: low`, or normal or high",
		"ports port":                       "leave it out: a deployment listens on $PORT",
		"params parameters vars variables": "params belong to the whole pipeline; what a stage gives a template is `with:`, and variables are `env:`",
		"withitems withparam withsequence withlist foreach loop loopitems items map expand iterate over": "write `each: [VALUE, …]`, and read it as ${{ each.item }}",
		"strategy axes axis": "write `matrix: { NAME: [VALUE, …] }` directly in the stage",
		"maxparallel parallelism maxactivetasks maxconcurrency maxworkers jobs": "write `parallel: N` beside `matrix` or `each`",
		"failfast":        "leave it out: when one fails, the others go on",
		"include exclude": "it belongs under `matrix:`",
		"while dowhile repeatuntil repeat poll repeatpolicy waitfor sensor": "write `until: { when: \"${{ … }}\", attempts: 20, every: 30s }`",
		"every interval": "it belongs under `until:`",
		"approvers approver approvals approval reviewers manual gate suspend confirm humanreview": "write `approve: { by: [NAME] }`",
		"python pip requirements venv virtualenv packages pythonversion":                          "write `environment: { python: { version: \"3.11\", requirements: FILE } }`",
		"condaenv": "write `environment: { python: { packages: [NAME, …] } }`",
		"template templateref templatename extends include action use":                             "write `uses: ./NAME.template.yaml`",
		"subpipeline workflow subworkflow subdag dag call pipelineref workflowtemplateref trigger": "write `pipeline: ./NAME.pipeline.yaml`",
		"memoize memoization caching cached reuse cachekey":                                        "write `cache: true`",
		"mutex semaphore lock synchronization pool concurrencygroup resourcegroup":                 "write `concurrency: GROUP`",
		"secretrefs envfrom secretenv":                                                             "write `secrets: { VARIABLE: NAME }`",
		"continueonerror allowfailure ignorefailed":                                                "write `if: ${{ always() }}` in the stages that go on",
		"artifacts produces": "write `outputs: { NAME: folder }`",
		"distributed distribution launcher torchrun horovod mpi nprocpernode processespernode": "write `launch: { kind: torchrun, processes_per_node: N }`",
		"tune tuning hyperparameters hyperparameter hpo hparams searchspace hyperdrive":        "write `sweep: { space: { NAME: { uniform: [0, 1] } }, objective: { minimize: METRIC } }` beside `run:`",
		"anyof prefer": "write `target: { any_of: [NAME, …] }`",
	}),
	"sweep": spread(map[string]string{
		"params parameters parameterspace searchspace hyperparameters samplingspace":       "write `space: { NAME: { uniform: [0, 1] } }`",
		"goal metric primarymetric minimize maximize direction mode":                       "write `objective: { minimize: METRIC }`",
		"sampler sampling samplingalgorithm method searchalgorithm strategy seed":          "write `algorithm: { kind: tpe }`",
		"pruner earlytermination earlystop earlystopping scheduler policy termination":     "write `stop: { kind: asha }`",
		"trials ntrials numtrials maxtrials maxtotaltrials count runs budget numsamples":   "write `limits: { trials: N }`",
		"parallel maxparallel concurrency maxconcurrent maxconcurrenttrials njobs workers": "write `limits: { parallel: N }`",
		"timeout time maxtime duration":                                                    "write `limits: { time: 1h }`",
	}),
	"distribution": spread(map[string]string{
		"categorical values enum options oneof":            "write `choice: [VALUE, …]`",
		"randint integer intuniform range lograndint qint": "write `int: [LEAST, GREATEST]`, or `log_int`",
		"float double real uniformfloat min max":           "write `uniform: [LEAST, GREATEST]`",
		"gaussian randn":                                   "write `normal: [MEAN, DEVIATION]`",
		"loggaussian lognorm":                              "write `log_normal: [MEAN, DEVIATION]`",
		"log reciprocal logscale":                          "write `log_uniform: [LEAST, GREATEST]`",
	}),
	"objective": spread(map[string]string{
		"min minimise goal": "write `minimize: METRIC`",
		"max maximise":      "write `maximize: METRIC`",
		"metric name":       "write `minimize: METRIC`, or maximize",
	}),
	"stop": spread(map[string]string{
		"graceperiod minresource minbudget minsteps":      "write `min: N`",
		"reductionfactor eta":                             "write `factor: N`",
		"maxt maxresource maxbudget maxsteps":             "write `max: N`",
		"evaluationinterval frequency every":              "write `interval: N`",
		"delayevaluation warmup warmupsteps nwarmupsteps": "write `delay: N`",
		"truncationpercentage percentage quantile":        "write `percent: N`",
		"slack": "write `slack_factor: N` or `slack_amount: N`",
		"minsamples minsamplesrequired nstartuptrials startup": "write `min_trials: N`",
	}),
	"sweep_limits": spread(map[string]string{
		"maxtrials maxtotaltrials ntrials numtrials count":               "write `trials: N`",
		"maxconcurrenttrials concurrency maxparallel concurrent workers": "write `parallel: N`",
		"timeout maxtime duration maxdurationminutes":                    "write `time: 1h`",
		"maxfailures failed maxfailed errors":                            "write `failures: N`",
	}),
	"defaults": spread(map[string]string{
		"run command script uses pipeline deploy approve steps":  "it says what a stage does, and belongs into each stage",
		"needs if inputs outputs metrics with matrix each until": "it belongs into the stages that have it",
		"image container docker":                                 "write `environment: { image: NAME }`",
		"python":                                                 "write `environment: { python: { … } }`",
		"runson queue compute host":                              "write `target: NAME`",
		"retries maxretries":                                     "write `retry: { attempts: N }`",
		"vars variables":                                         "write `env:`",
		"cpus memory nodes":                                      "it belongs under `resources:`",
	}),
	"template": spread(map[string]string{
		"name":                               "write `template: NAME`",
		"version apiversion":                 "write `amlflow: v1`",
		"parameters inputs arguments args":   "write `params:`",
		"stages steps jobs tasks job spec":   "a template has one stage: write `stage:`",
		"outputs metrics":                    "it belongs under `stage:`",
		"defaults finally concurrency":       "it belongs into a pipeline's file",
		"run command deploy approve env":     "it belongs under `stage:`",
		"secrets environment resources code": "it belongs under `stage:`",
	}),
	"until": spread(map[string]string{
		"condition if expression expr test success until":                                     "write `when: \"${{ … }}\"`",
		"max maxattempts retries maxretries limit times count maxiterations iterations tries": "write `attempts: N`",
		"interval delay sleep wait backoff poll pollinterval period intervalsec":              "write `every: 30s`",
		"timeout deadline": "leave it out: it ends after `attempts`, one each `every`",
	}),
	"approve": spread(map[string]string{
		"approvers approver users user reviewers who from people assignees groups group roles": "write `by: [NAME, …]`",
		"prompt question description text title reason comment":                                "write `message: TEXT`",
		"expires deadline wait waitfor within duration expiry timeoutminutes":                  "write `timeout: 24h`",
		"minapprovals count required quorum":                                                   "leave it out: one of those named is enough",
	}),
	"batch": spread(map[string]string{
		"input inputs data folder dataset path files from each":                                    "write `over: \"${{ stages.NAME.outputs.NAME }}\"`",
		"script entryscript entry code scoringscript run command":                                  "write `score: FILE.py`, a file with run(mini_batch)",
		"minibatchsize batchsize chunk chunksize per":                                              "write `size: 100 files`, or `size: 64Mi`",
		"output outputs outputfile outputfilename appendrowfilename outputaction filename results": "write `append: predictions.csv`",
		"minibatcherrorthreshold maxerrors maxfailures allowedfailures threshold":                  "write `error_threshold: N`",
		"retry maxretries attempts runmaxtry tries":                                                "write `retries: N`",
		"runinvocationtimeout invocationtimeout minibatchtimeout deadline":                         "write `timeout: 5m`, for each mini-batch",
		"concurrency maxconcurrency maxparallel workers threads":                                   "write `parallel: N`",
		"processes processcount processcountpernode maxconcurrencyperinstance pernode":             "write `processes_per_node: N`",
		"nodes nodecount instancecount instances":                                                  "write `resources: { nodes: N }` in the stage",
		"format kind type": "write `items: files`, lines, csv or jsonl",
	}),
	"concurrency": spread(map[string]string{
		"name key id mutex lock pool":                       "write `group: NAME`",
		"max slots size count permits maxparallel parallel": "write `limit: N`",
		"cancelinprogress":                                  "leave it out: those of a group wait for each other",
	}),
	"on": spread(map[string]string{
		"cron crontab every interval schedules timer":                                             "write `schedule: [{ cron: \"0 3 * * *\" }]`, or `schedule: [{ every: 6h }]`",
		"push pullrequest release webhook workflowdispatch repositorydispatch merge tag branches": "leave it out: let your CI run `amlflow run FILE`",
		"manual": "leave it out: `amlflow run FILE` starts a run at any time",
	}),
	"schedule": spread(map[string]string{
		"crontab schedule expression cronexpression at when time": "write `cron: \"0 3 * * *\"`",
		"interval period each delay frequency":                    "write `every: 6h`",
		"tz zone location crontz":                                 "write `timezone: Europe/Berlin`",
		"concurrencypolicy concurrency maxactiveruns":             "write `overlap: skip`, or queue, latest, cancel or allow",
		"catchup backfill startingdeadlineseconds catchupwindow":  "write `catch_up: 1h`",
		"parameters inputs with arguments args vars variables":    "write `params:`",
		"splay random randomizeddelaysec":                         "write `jitter: 5m`",
		"id":                                                      "write `name: NAME`",
		"suspend paused enabled disabled":                         "leave it out: `amlflow schedule pause NAME` and `resume` do it",
	}),
	"environment": spread(map[string]string{
		"docker container dockerimage": "write `image: NAME`",
		"name url":                     "leave it out: the place where a stage runs is its `target`",
		"variables env vars":           "write `env:` in the stage",
		"pip requirements packages virtualenv venv dependencies version pythonversion": "it belongs under `python:`",
	}),
	"python": spread(map[string]string{
		"pip dependencies deps libraries package install": "write `packages: [NAME, …]`",
		"requirementsfile file requirement":               "write `requirements: FILE`",
		"pythonversion":                                   "write `version: \"3.11\"`",
	}),
	"cache": spread(map[string]string{
		"key keys paths path restorekeys files":                                    "write `cache: true`: what the results depend on is known",
		"ttl expire expires age maxstaleness validity expiration duration timeout": "write `max_age: 7d`",
		"enabled enable use policy":                                                "write `cache: true`, or false",
	}),
	"target_choice": spread(map[string]string{
		"any oneof names candidates targets allof choices": "write `any_of: [NAME, …]`",
		"preference order sort strategy policy select":     "write `prefer: cheapest`, or first",
		"name target kind": "write the name alone, or `any_of: [NAME, …]`",
	}),
	"secret": spread(map[string]string{
		"variable envvar fromenv environment name": "write `env: VARIABLE`",
		"path filename fromfile":                   "write `file: PATH`",
		"value plain literal secret text":          "a secret is never written into a file: write `env: VARIABLE`, `file: PATH` or `store: true`",
		"vault":                                    "write `env: VARIABLE`, and set it from the vault before `amlflow run`",
	}),
	"resources": spread(map[string]string{
		"ram mem":                    "write `memory: 4Gi`",
		"cores vcpu vcpus":           "write `cpus: N`",
		"instances workers replicas": "write `nodes: N`",
		"requests limits":            "write `cpus: 2` and `memory: 4Gi` directly under `resources:`",
		"gpu nvidia.com/gpu accelerators accelerator cuda": "write `gpus: N`",
	}),
	"launch": spread(map[string]string{
		"type name launcher backend framework distribution":  "write `kind: torchrun`, or another kind",
		"processes nproc procs slots ranks workers replicas": "write `processes_per_node: N`",
		"nodes nnodes": "write `resources: { nodes: N }` in the stage",
	}),
	"retry": spread(map[string]string{
		"max maxattempts maxretries count limit times retries": "write `attempts: N`",
		"delay wait interval sleep":                            "write `backoff: 30s`",
		"when if retryon retrypolicy onexitcodes exitcodes":    "write `on: [lost]`",
	}),
	"deploy": spread(map[string]string{
		"replicas count scale":           "write `instances: N`",
		"port ports":                     "leave it out: `run` is told its port in $PORT",
		"name service":                   "write `endpoint: NAME`",
		"script entrypoint handler main": "write `score: FILE.py`",
		"command cmd":                    "write `run: SCRIPT`",
		"healthcheck readiness liveness": "write `health: /PATH`",
		"route url":                      "write `path: /PATH`",
		"timeout":                        "write `ready: 60s`, or for requests `limits: { timeout: 10s }`",
		"strategy traffic rollout steps": "write `canary: [{ weight: 10, hold: 30s }]`, `mirror: …`, or nothing to move all requests at once",
		"shadow":                         "write `mirror: { percent: 100, hold: 1m }`",
		"monitor watch alarms bake":      "write `rollback: { when: \"${{ endpoint.error_rate > 0.05 }}\", hold: 10m }`",
		"concurrent concurrency queue":   "write `limits: { concurrent: N, queue: N }`",
		"drain":                          "write `limits: { drain: 30s }`",
		"scaling hpa autoscaling":        "write `autoscale: { min: 1, max: 4 }`",
		"authentication authmode keys":   "write `auth: key`",
		"raw":                            "write `bytes: true`",
		"affinity session":               "write `sticky: HEADER`",
	}),
	"canary_step": spread(map[string]string{
		"percent percentage traffic share": "write `weight: 10`",
		"setweight":                        "write `weight: 10`",
		"duration pause wait for time":     "write `hold: 30s`",
		"when if metric analysis assert":   "write `check: \"${{ endpoint.error_rate < 0.01 }}\"`",
		"min minrequests count":            "write `requests: 100`",
	}),
	"mirror": spread(map[string]string{
		"weight percentage share": "write `percent: 100`",
		"duration pause wait for": "write `hold: 1m`",
		"when if assert":          "write `check: \"${{ endpoint.agreement > 0.98 }}\"`",
		"epsilon rtol":            "write `tolerance: 0.001`",
		"min minrequests count":   "write `requests: 100`",
	}),
	"rollback": spread(map[string]string{
		"if check on condition": "write `when: \"${{ endpoint.error_rate > 0.05 }}\"`",
		"for duration watch":    "write `hold: 10m`",
		"interval period":       "write `every: 5s`",
		"window last":           "write `over: 1m`",
		"min minrequests count": "write `requests: 100`",
	}),
	"autoscale": spread(map[string]string{
		"minreplicas mininstances minimum": "write `min: 1`",
		"maxreplicas maxinstances maximum": "write `max: 4`",
		"target utilization":               "write `utilisation: 0.7`",
		"cooldown stabilization":           "write `delay: 1m`",
	}),
	"param": spread(map[string]string{
		"min":                            "write `minimum: N`",
		"max":                            "write `maximum: N`",
		"choices options values allowed": "write `enum: [VALUE, …]`",
		"value":                          "write `default: VALUE`",
		"required optional":              "leave it out: a parameter without `default` must be given",
		"help doc":                       "write `description: TEXT`",
		"regex":                          "write `pattern: TEXT`",
	}),
	"workspace": spread(map[string]string{
		"name":                   "write `workspace: NAME`",
		"server temporal":        "write `engine: { address: HOST:PORT }`",
		"stages params defaults": "it belongs into a pipeline's file, NAME.pipeline.yaml",
		"target":                 "write `targets: { NAME: { kind: local } }`",
		"users teams":            "write `groups: { NAME: [USER, …] }`",
		"environments":           "write `profiles:`",
	}),
}

// spread gives each of the words of a key its cure.
func spread(groups map[string]string) map[string]string {
	all := map[string]string{}
	for words, cure := range groups {
		for word := range strings.FieldsSeq(words) {
			all[word] = cure
		}
	}
	return all
}

var joints = strings.NewReplacer("_", "", "-", "")

// habit says how key is written in this part of the file, if other tools have it.
func habit(part, key string) string {
	return habits[part][joints.Replace(strings.ToLower(key))]
}

// works reports whether other tools use key for what a stage does.
func works(key string) bool {
	cure := habit("stage", key)
	for _, kind := range stageKinds {
		if strings.HasPrefix(cure, "write `"+kind+":") || key == "steps" {
			return true
		}
	}
	return false
}

// otherWords are values that other tools have for those of an enum.
var otherWords = map[string]string{"float": "number", "double": "number", "decimal": "number", "str": "string", "text": "string", "long": "integer",
	"dir": "folder", "directory": "folder", "array": "list", "path": "file",
	"forbid": "skip", "replace": "cancel", "buffer": "queue", "wait": "queue", "parallel": "allow",
	"success": "succeeded", "ok": "succeeded", "passed": "succeeded", "completed": "succeeded", "failure": "failed", "error": "failed", "canceled": "cancelled",
	"bayesian": "tpe", "bayes": "tpe", "hyperopt": "tpe", "optuna": "tpe", "hyperband": "asha", "halving": "asha", "successive_halving": "asha", "medianstopping": "median"}

// foreign recognises files of other tools, by a key that they have and none of ours.
func (sh *shaper) foreign() diag.Findings {
	m := asMap(sh.source.Tree)
	if m == nil || m["amlflow"] != nil || m[sh.kind] != nil {
		return nil
	}
	key, what := "", ""
	switch {
	case m["jobs"] != nil && (m["on"] != nil || m["true"] != nil):
		key, what = "jobs", "a GitHub Actions workflow"
	case isText(m["apiVersion"]) && m["kind"] != nil:
		key, what = "apiVersion", "a manifest for Kubernetes"
	default:
		return nil
	}
	f := sh.source.finding(sh.source.KeyAt("/"+key), "other-file", fmt.Sprintf("this looks like %s, and a %s file is wanted", what, sh.kind),
		fmt.Sprintf("begin a %s file with \"amlflow: v1\" and \"%s: NAME\"; `amlflow init` writes one to start from", sh.kind, sh.kind))
	f.Path, f.Width = "/"+key, len(key)
	return diag.Findings{f}
}

var (
	looseTime = regexp.MustCompile(`(?i)^([0-9]+(?:\.[0-9]+)?) *(ms|s|m|h|d)(?:[a-z]*)$`)
	looseSize = regexp.MustCompile(`(?i)^([0-9]+(?:\.[0-9]+)?) *([kmgt])(i?)b?$`)
)

// mendTime makes "10m" of "10 minutes"; "" when it is not that.
func mendTime(text string) string {
	m := looseTime.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	unit := strings.ToLower(m[2])
	word := strings.ToLower(strings.TrimSpace(text[len(m[1]):]))
	for _, long := range []string{"milliseconds", "msecs", "seconds", "secs", "minutes", "mins", "hours", "hrs", "days"} {
		if word == long || word+"s" == long || word == unit {
			if unit == "m" && strings.HasPrefix(long, "mi") && strings.HasPrefix(word, "mil") {
				unit = "ms"
			}
			return m[1] + unit
		}
	}
	return ""
}

// mendSize makes "512M" of "512MB", and "16Gi" of "16 GiB"; "" when it is neither.
func mendSize(text string) string {
	m := looseSize.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	unit := strings.ToUpper(m[2])
	if m[3] != "" {
		return m[1] + unit + "i"
	}
	return fmt.Sprintf("%s%s, or %s%si to count in powers of 1024", m[1], unit, m[1], unit)
}

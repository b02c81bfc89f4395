PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES('0003');
CREATE TABLE devices (
	"key" VARCHAR(64) NOT NULL, 
	serial VARCHAR(255) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	emulated BOOLEAN NOT NULL, 
	manufacturer TEXT, 
	model TEXT, 
	soc TEXT, 
	abi VARCHAR(32), 
	os_version TEXT, 
	api_level INTEGER, 
	build TEXT, 
	cpu_cores INTEGER, 
	ram_bytes BIGINT, 
	PRIMARY KEY ("key")
);
INSERT INTO devices VALUES('e2608c69a1e81a9e2b47f0b185caadc1f100ffce4e89c09c3520fa7f4097714f','local','local',0,NULL,'Intel(R) Xeon(R) Processor','Intel(R) Xeon(R) Processor','x86_64','Debian GNU/Linux 12 (bookworm)',NULL,'6.18.44-fc-v657',2,25276510208);
CREATE TABLE artifacts (
	sha256 VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	model TEXT NOT NULL, 
	revision TEXT, 
	model_type VARCHAR(64) NOT NULL, 
	backend VARCHAR(32) NOT NULL, 
	backend_version VARCHAR(32) NOT NULL, 
	quantization TEXT NOT NULL, 
	scheme VARCHAR(32) NOT NULL, 
	group_size INTEGER, 
	algorithm VARCHAR(32) NOT NULL, 
	preset VARCHAR(64), 
	context_length INTEGER NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	unique_parameters BIGINT NOT NULL, 
	stored_parameters BIGINT NOT NULL, 
	manifest JSON NOT NULL, 
	PRIMARY KEY (sha256)
);
INSERT INTO artifacts VALUES('fded6ab3d44da224c836019dac6f583298c1408b2aba13068966292a570d43d7','random-llama-tiny-onnx-8da4w-g32-hqq','random:llama-tiny',NULL,'llama','onnxruntime','1.31.1','8da4w g32 hqq','8da4w',32,'hqq',NULL,256,98005,106816,106816,'{"schema": "slm-artifact/1", "name": "random-llama-tiny-onnx-8da4w-g32-hqq", "created_utc": "2026-11-29T09:38:45+00:00", "source": {"kind": "random", "id": "random:llama-tiny", "revision": null, "files": []}, "architecture": {"model_type": "llama", "layers": 2, "hidden_size": 64, "intermediate_size": 128, "heads": 4, "kv_heads": 2, "head_dim": 16, "vocab_size": 512, "max_positions": 256, "sliding_window": null, "tied_embeddings": true, "unique_parameters": 106816, "stored_parameters": 106816}, "backend": {"name": "onnxruntime", "version": "1.31.1", "opset": 21}, "quantization": {"preset": null, "linear": {"scheme": "8da4w", "group_size": 32, "symmetric": true, "algorithm": "hqq", "positive_scales": false}, "embedding": {"scheme": "4w", "group_size": 32, "symmetric": true, "algorithm": "hqq", "positive_scales": false}, "lm_head": {"scheme": "8da4w", "group_size": 32, "symmetric": true, "algorithm": "hqq", "positive_scales": false}, "overrides": {}}, "context_length": 256, "logits": "last", "model_file": "model.onnx", "tokenizer_files": ["generation_config.json", "tokenizer.json", "tokenizer_config.json"], "chat_template_file": null, "files": [{"path": "genai_config.json", "size_bytes": 932, "sha256": "aa0f57a9a4808c3c362585eca269c973334306d32010464a2b6a3a7817dff5fb"}, {"path": "generation_config.json", "size_bytes": 66, "sha256": "f8d6d5d8d8521d521df1f07e83011e7788931f54f69f21673a118e3b94729e1e"}, {"path": "model.onnx", "size_bytes": 15592, "sha256": "ba73576aa5bfd4eb264ea08445cf5a2fb544a22cd75538a0547a66c8a9664887"}, {"path": "model.onnx.data", "size_bytes": 73728, "sha256": "62cea6d6f321dde2a36d6418c277477c0d229406a3d35536143458af118adffd"}, {"path": "tokenizer.json", "size_bytes": 7532, "sha256": "a7bc8fc95b4c521500087244a4493d78c0d4c42d02232fc9be2c5e0eb35114ed"}, {"path": "tokenizer_config.json", "size_bytes": 155, "sha256": "090e43824dc8c7e7ad2163e3b75d506768489b3fe517164820057311493727e6"}], "parity": {"positions": 36, "max_abs_diff": 3.007406234741211, "mean_kl": 0.20258596539497375, "top1_agreement": 0.5277777910232544, "threshold": "mean KL <= 1", "passed": true}, "greedy_reference": {"prompt_ids": [54, 74, 71, 223, 69, 67, 82, 75, 86, 67, 78, 223, 81, 72, 223, 40, 84, 67, 80, 69, 71, 223, 75, 85], "token_ids": [48, 48, 48, 48, 48, 48, 48, 48, 146, 231, 471, 464, 194, 163, 464, 194, 163, 464, 194, 163, 464, 394, 394, 394, 394, 394, 394, 394, 394, 394, 394, 210]}, "conversion": {"seconds": 2.91, "peak_rss_bytes": 489463808, "capture_cached": false, "stage_seconds": {"capture": 2.154, "quantize and write": 0.333, "check parity": 0.347}}, "tools": {"slm-toolkit": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu", "transformers": "5.23.0", "onnxruntime": "1.31.1", "onnx": "1.23.2"}, "recipe_sha256": null}');
INSERT INTO artifacts VALUES('b9ff294cdbf70bd80f994a5e3f90658c41e82b3f53adfe8666e065fc77298466','random-llama-tiny-executorch-8da4w-g32-hqq','random:llama-tiny',NULL,'llama','executorch','1.5.1','8da4w g32 hqq','8da4w',32,'hqq',NULL,256,132169,106816,139584,'{"schema": "slm-artifact/1", "name": "random-llama-tiny-executorch-8da4w-g32-hqq", "created_utc": "2026-11-29T09:42:56+00:00", "source": {"kind": "random", "id": "random:llama-tiny", "revision": null, "files": []}, "architecture": {"model_type": "llama", "layers": 2, "hidden_size": 64, "intermediate_size": 128, "heads": 4, "kv_heads": 2, "head_dim": 16, "vocab_size": 512, "max_positions": 256, "sliding_window": null, "tied_embeddings": true, "unique_parameters": 106816, "stored_parameters": 139584}, "backend": {"name": "executorch", "version": "1.5.1", "opset": null}, "quantization": {"preset": null, "linear": {"scheme": "8da4w", "group_size": 32, "symmetric": true, "algorithm": "hqq", "positive_scales": true}, "embedding": {"scheme": "4w", "group_size": 32, "symmetric": true, "algorithm": "hqq", "positive_scales": true}, "lm_head": {"scheme": "8da4w", "group_size": 32, "symmetric": true, "algorithm": "hqq", "positive_scales": true}, "overrides": {}}, "context_length": 256, "logits": "last", "model_file": "model.pte", "tokenizer_files": ["generation_config.json", "tokenizer.json", "tokenizer_config.json"], "chat_template_file": null, "files": [{"path": "generation_config.json", "size_bytes": 66, "sha256": "f8d6d5d8d8521d521df1f07e83011e7788931f54f69f21673a118e3b94729e1e"}, {"path": "model.pte", "size_bytes": 124416, "sha256": "bde42a67bd47c8f169df98ba398e20b3abe800053da8d5ac804758d95b949bd4"}, {"path": "tokenizer.json", "size_bytes": 7532, "sha256": "a7bc8fc95b4c521500087244a4493d78c0d4c42d02232fc9be2c5e0eb35114ed"}, {"path": "tokenizer_config.json", "size_bytes": 155, "sha256": "090e43824dc8c7e7ad2163e3b75d506768489b3fe517164820057311493727e6"}], "parity": {"positions": 36, "max_abs_diff": 3.122013807296753, "mean_kl": 0.19257426261901855, "top1_agreement": 0.5277777910232544, "threshold": "mean KL <= 1", "passed": true}, "greedy_reference": {"prompt_ids": [54, 74, 71, 223, 69, 67, 82, 75, 86, 67, 78, 223, 81, 72, 223, 40, 84, 67, 80, 69, 71, 223, 75, 85], "token_ids": [156, 28, 194, 497, 48, 48, 48, 48, 48, 48, 146, 231, 49, 20, 464, 194, 450, 488, 464, 194, 478, 262, 352, 488, 464, 194, 163, 12, 231, 451, 88, 35]}, "conversion": {"seconds": 11.578, "peak_rss_bytes": 493428736, "capture_cached": true, "stage_seconds": {"capture": 0.061, "quantize and write": 2.129, "check parity": 0.381}}, "tools": {"slm-toolkit": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu", "transformers": "5.23.0", "executorch": "1.5.1"}, "recipe_sha256": null}');
CREATE TABLE runs (
	id VARCHAR(32) NOT NULL, 
	device_key VARCHAR(64) NOT NULL, 
	artifact_sha256 VARCHAR(64) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	error TEXT, 
	protocol INTEGER NOT NULL, 
	created_unix_ns BIGINT NOT NULL, 
	toolkit_version VARCHAR(32) NOT NULL, 
	engine VARCHAR(32) NOT NULL, 
	engine_version VARCHAR(32) NOT NULL, 
	runner_version VARCHAR(32), 
	kernels VARCHAR(32), 
	abi VARCHAR(32) NOT NULL, 
	bundle_sha256 VARCHAR(64) NOT NULL, 
	argv JSON NOT NULL, 
	exit_code INTEGER, 
	prompt_tokens INTEGER NOT NULL, 
	generate_tokens INTEGER NOT NULL, 
	depth INTEGER NOT NULL, 
	prefill_chunk INTEGER NOT NULL, 
	context_length INTEGER NOT NULL, 
	warmup INTEGER NOT NULL, 
	repetitions INTEGER NOT NULL, 
	threads INTEGER NOT NULL, 
	affinity JSON NOT NULL, 
	load_ns BIGINT, 
	prefill_tokens_per_second FLOAT, 
	prefill_stdev FLOAT, 
	decode_tokens_per_second FLOAT, 
	decode_stdev FLOAT, 
	ttft_ns BIGINT, 
	peak_bytes BIGINT, 
	memory_method TEXT, 
	vm_hwm_bytes BIGINT, 
	max_rss_swap_bytes BIGINT, 
	max_swap_bytes BIGINT, 
	after_load_bytes BIGINT, 
	major_faults BIGINT, 
	memory_samples INTEGER, 
	memory_interval_ms INTEGER, 
	greedy_matched INTEGER, 
	greedy_total INTEGER, gate VARCHAR(16), gate_max_thermal_status INTEGER, gate_max_celsius FLOAT, gate_max_cpu_busy FLOAT, gate_min_battery_percent INTEGER, gate_screen_off BOOLEAN, gate_unreadable TEXT, throttled_repetitions INTEGER, power_source VARCHAR(16), energy_source TEXT, energy_interval_ms INTEGER, energy_samples INTEGER, energy_gauge_ms INTEGER, energy_current_unit VARCHAR(8), energy_voltage_unit VARCHAR(8), energy_discharge_sign INTEGER, energy_sign_from VARCHAR(16), energy_charging BOOLEAN, energy_note TEXT, baseline_watts FLOAT, mean_watts FLOAT, net_watts FLOAT, joules_per_prompt FLOAT, prefill_joules_per_token FLOAT, decode_joules_per_token FLOAT, battery_rise_celsius FLOAT, cpu_rise_celsius FLOAT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(device_key) REFERENCES devices ("key"), 
	FOREIGN KEY(artifact_sha256) REFERENCES artifacts (sha256)
);
INSERT INTO runs VALUES('awjyxw37dj8x7xpq','e2608c69a1e81a9e2b47f0b185caadc1f100ffce4e89c09c3520fa7f4097714f','fded6ab3d44da224c836019dac6f583298c1408b2aba13068966292a570d43d7','ok',NULL,2,1795945349891960660,'0.1.0','onnxruntime','1.31.1','0.1.0','own:avx512vnni','x86_64','8c2d8b4ae71c872044d4a2cc0a855e6f99e23606e61c0eba4196d52a6062abb8','["/home/user/.local/share/slm-toolkit/local-device/bundles/x86_64-8c2d8b4ae71c8720/lib/ld-linux-x86-64.so.2", "--library-path", "/home/user/.local/share/slm-toolkit/local-device/bundles/x86_64-8c2d8b4ae71c8720/lib", "/home/user/.local/share/slm-toolkit/local-device/bundles/x86_64-8c2d8b4ae71c8720/slm-runner-ort", "profile", "--model", "/home/user/.local/share/slm-toolkit/local-device/artifacts/fded6ab3d44da224", "--run-id", "awjyxw37dj8x7xpq", "--output", "/home/user/.local/share/slm-toolkit/local-device/runs/awjyxw37dj8x7xpq/result.jsonl", "--prompt-tokens", "32", "--generate-tokens", "8", "--depth", "0", "--repetitions", "3", "--warmup", "1", "--threads", "1", "--gate-dir", "/home/user/.local/share/slm-toolkit/local-device/runs/awjyxw37dj8x7xpq", "--gate-timeout", "360", "--reference-prompt", "/home/user/.local/share/slm-toolkit/local-device/runs/awjyxw37dj8x7xpq/prompt.txt", "--reference-continuation", "/home/user/.local/share/slm-toolkit/local-device/runs/awjyxw37dj8x7xpq/continuation.txt"]',0,32,8,0,512,256,1,3,1,'[]',112688623,87114.179466098968984,1582.4272771273763283,30131.243085955826245,2058.7226739367370099,367334,32714752,'max(VmHWM, max(VmRSS+VmSwap))',32714752,32714752,0,31395840,0,37,10,32,32,'default',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO runs VALUES('pa3ta9cjvnmt5jpy','e2608c69a1e81a9e2b47f0b185caadc1f100ffce4e89c09c3520fa7f4097714f','b9ff294cdbf70bd80f994a5e3f90658c41e82b3f53adfe8666e065fc77298466','ok',NULL,2,1795945448165840264,'0.1.0','executorch','1.5.1','0.1.0','own:avx512vnni','x86_64','fe4a8f2842472951f8740d4b9aac84a9bc6e5fba7f39ce726e9b56ecd4584eb7','["/home/user/.local/share/slm-toolkit/local-device/bundles/x86_64-fe4a8f2842472951/lib/ld-linux-x86-64.so.2", "--library-path", "/home/user/.local/share/slm-toolkit/local-device/bundles/x86_64-fe4a8f2842472951/lib", "/home/user/.local/share/slm-toolkit/local-device/bundles/x86_64-fe4a8f2842472951/slm-runner-et", "profile", "--model", "/home/user/.local/share/slm-toolkit/local-device/artifacts/b9ff294cdbf70bd8", "--run-id", "pa3ta9cjvnmt5jpy", "--output", "/home/user/.local/share/slm-toolkit/local-device/runs/pa3ta9cjvnmt5jpy/result.jsonl", "--prompt-tokens", "32", "--generate-tokens", "8", "--depth", "0", "--repetitions", "3", "--warmup", "1", "--threads", "1", "--gate-dir", "/home/user/.local/share/slm-toolkit/local-device/runs/pa3ta9cjvnmt5jpy", "--gate-timeout", "360", "--reference-prompt", "/home/user/.local/share/slm-toolkit/local-device/runs/pa3ta9cjvnmt5jpy/prompt.txt", "--reference-continuation", "/home/user/.local/share/slm-toolkit/local-device/runs/pa3ta9cjvnmt5jpy/continuation.txt"]',0,32,8,0,512,256,1,3,1,'[]',1654569,100813.12082767572428,2179.6764772754631848,47692.695523018541281,3356.0292299914308386,317419,9822208,'max(VmHWM, max(VmRSS+VmSwap))',9822208,9822208,0,8785920,0,29,10,32,32,'default',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE conditions (
	id INTEGER NOT NULL, 
	run_id VARCHAR(32) NOT NULL, 
	moment VARCHAR(8) NOT NULL, 
	repetition INTEGER, 
	unix_ns BIGINT NOT NULL, 
	cpu_busy FLOAT, 
	cpu_frequencies_khz JSON, 
	available_ram_bytes BIGINT, 
	thermal_status INTEGER, 
	hottest_cpu_celsius FLOAT, 
	battery_percent INTEGER, 
	charging BOOLEAN, cpu_frequency_caps_khz JSON, battery_celsius FLOAT, power_source VARCHAR(16), screen_on BOOLEAN, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO conditions VALUES(1,'awjyxw37dj8x7xpq','before',NULL,1795945350392802152,1.0,NULL,23377899520,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(2,'awjyxw37dj8x7xpq','before',0,1795945350606483458,1.0,NULL,23364788224,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(3,'awjyxw37dj8x7xpq','after',0,1795945350617175819,NULL,NULL,23364182016,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(4,'awjyxw37dj8x7xpq','before',1,1795945350668024050,1.0,NULL,23362211840,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(5,'awjyxw37dj8x7xpq','after',1,1795945350677850997,NULL,NULL,23361908736,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(6,'awjyxw37dj8x7xpq','before',2,1795945350728711368,1.0,NULL,23360847872,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(7,'awjyxw37dj8x7xpq','after',2,1795945350736631365,NULL,NULL,23360393216,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(8,'awjyxw37dj8x7xpq','before',3,1795945350787469004,1.0,NULL,23357947904,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(9,'awjyxw37dj8x7xpq','after',3,1795945350797652563,NULL,NULL,23357341696,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(10,'awjyxw37dj8x7xpq','after',NULL,1795945351324215945,1.0,NULL,23371911168,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(11,'pa3ta9cjvnmt5jpy','before',NULL,1795945448668854887,1.0,NULL,23138697216,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(12,'pa3ta9cjvnmt5jpy','before',0,1795945448769230927,1.0,NULL,23138701312,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(13,'pa3ta9cjvnmt5jpy','after',0,1795945448782733374,NULL,NULL,23138701312,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(14,'pa3ta9cjvnmt5jpy','before',1,1795945448833881219,1.0,NULL,23138701312,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(15,'pa3ta9cjvnmt5jpy','after',1,1795945448843170580,NULL,NULL,23138701312,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(16,'pa3ta9cjvnmt5jpy','before',2,1795945448895825381,1.0,NULL,23138701312,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(17,'pa3ta9cjvnmt5jpy','after',2,1795945448914744642,NULL,NULL,23138701312,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(18,'pa3ta9cjvnmt5jpy','before',3,1795945448966001391,1.0,NULL,23138701312,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(19,'pa3ta9cjvnmt5jpy','after',3,1795945448980787709,NULL,NULL,23138701312,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO conditions VALUES(20,'pa3ta9cjvnmt5jpy','after',NULL,1795945449505066760,1.0,NULL,23147048960,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE tags (
	run_id VARCHAR(32) NOT NULL, 
	tag VARCHAR(64) NOT NULL, 
	PRIMARY KEY (run_id, tag), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
CREATE TABLE IF NOT EXISTS "repetitions" (
	run_id VARCHAR(32) NOT NULL, 
	"index" INTEGER NOT NULL, 
	warmup BOOLEAN NOT NULL, 
	started_unix_ns BIGINT NOT NULL, 
	prefill_ns BIGINT, 
	decode_ns JSON NOT NULL, 
	decode_total_ns BIGINT DEFAULT '0' NOT NULL, gate VARCHAR(16), gate_wait_ns BIGINT, throttled BOOLEAN, throttle_sign TEXT, prefill_joules FLOAT, decode_joules FLOAT, 
	PRIMARY KEY (run_id, "index"), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO repetitions VALUES('awjyxw37dj8x7xpq',0,1,1795945350615863538,434947,'[56411, 37397, 33828, 31059, 30129, 29866, 29197]',247887,'opened',60131056,NULL,NULL,NULL,NULL);
INSERT INTO repetitions VALUES('awjyxw37dj8x7xpq',1,0,1795945350677038513,367312,'[46060, 36526, 33920, 29616, 29197, 28324, 28674]',232317,'opened',60431241,NULL,NULL,NULL,NULL);
INSERT INTO repetitions VALUES('awjyxw37dj8x7xpq',2,0,1795945350735768682,379255,'[45338, 30295, 30287, 28757, 29524, 28629, 29059]',221889,'opened',58058103,NULL,NULL,NULL,NULL);
INSERT INTO repetitions VALUES('awjyxw37dj8x7xpq',3,0,1795945350796502829,367334,'[47599, 37187, 30367, 30073, 29077, 37206, 43120]',254629,'opened',60075270,NULL,NULL,NULL,NULL);
INSERT INTO repetitions VALUES('pa3ta9cjvnmt5jpy',0,1,1795945448778374071,488281,'[32956, 18644, 19806, 18231, 18035, 18108, 19499]',145279,'opened',62861484,NULL,NULL,NULL,NULL);
INSERT INTO repetitions VALUES('pa3ta9cjvnmt5jpy',1,0,1795945448841739184,313925,'[23347, 14109, 31873, 35530, 14309, 13820, 13785]',146773,'opened',62594878,NULL,NULL,NULL,NULL);
INSERT INTO repetitions VALUES('pa3ta9cjvnmt5jpy',2,0,1795945448908221366,327446,'[32575, 20340, 20754, 20045, 20006, 20599, 20643]',154962,'opened',65949618,NULL,NULL,NULL,NULL);
INSERT INTO repetitions VALUES('pa3ta9cjvnmt5jpy',3,0,1795945448979320080,317419,'[29270, 17965, 17664, 17337, 17378, 17656, 17813]',135083,'opened',70539120,NULL,NULL,NULL,NULL);
CREATE INDEX ix_runs_created_unix_ns ON runs (created_unix_ns);
CREATE INDEX ix_runs_artifact_sha256 ON runs (artifact_sha256);
CREATE INDEX ix_runs_device_key ON runs (device_key);
CREATE INDEX ix_conditions_run_id ON conditions (run_id);
CREATE INDEX ix_tags_tag ON tags (tag);
CREATE INDEX ix_runs_decode ON runs (decode_tokens_per_second);
CREATE INDEX ix_runs_prefill ON runs (prefill_tokens_per_second);
COMMIT;

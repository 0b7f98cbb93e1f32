CREATE TABLE `run_events` (
	`event_id` integer PRIMARY KEY NOT NULL,
	`run_seq` integer NOT NULL,
	`at` text NOT NULL,
	`from_status` text,
	`to_status` text NOT NULL,
	`runner_id` text
);
--> statement-breakpoint
CREATE TABLE `runner_signals` (
	`signal_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`runner_id` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `runners` (
	`runner_id` text PRIMARY KEY NOT NULL,
	`hostname` text NOT NULL,
	`project_dir` text NOT NULL,
	`executor_type` text,
	`executor_profile` text,
	`executor` text,
	`agents` text,
	`tags` text NOT NULL,
	`require_matching_tags` integer NOT NULL,
	`registered_at` text NOT NULL,
	`last_heartbeat` text NOT NULL,
	`deregistered_at` text
);
--> statement-breakpoint
CREATE INDEX `idx_runners_heartbeat` ON `runners` (`last_heartbeat`);--> statement-breakpoint
CREATE TABLE `runs` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`run_id` text NOT NULL,
	`session_id` text NOT NULL,
	`type` text NOT NULL,
	`agent_name` text,
	`parameters` text NOT NULL,
	`prompt` text GENERATED ALWAYS AS (parameters ->> '$.prompt') VIRTUAL,
	`scope` text,
	`project_dir` text,
	`parent_session_id` text,
	`execution_mode` text DEFAULT 'sync' NOT NULL,
	`demands` text,
	`demand_key` text GENERATED ALWAYS AS ('[' || json_quote(coalesce(demands ->> '$.hostname', '')) || ',' || json_quote(coalesce(demands ->> '$.project_dir', '')) || ',' || json_quote(coalesce(demands ->> '$.executor_type', '')) || ',' || json_quote(coalesce(demands ->> '$.executor_profile', '')) || iif(coalesce(demands ->> '$.tags', '[]') = '[]', ']', ',' || substr(demands ->> '$.tags', 2))) VIRTUAL,
	`priority` integer DEFAULT 0 NOT NULL,
	`status` text DEFAULT 'pending' NOT NULL,
	`runner_id` text,
	`error` text,
	`result` text,
	`attempt` integer DEFAULT 0 NOT NULL,
	`max_attempts` integer DEFAULT 1 NOT NULL,
	`claim_token` text,
	`claim_key` text,
	`idempotency_key` text,
	`idempotency_fingerprint` text,
	`created_at` text DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')) NOT NULL,
	`claimed_at` text,
	`started_at` text,
	`completed_at` text,
	`timeout_at` text,
	`timeout_seconds` real,
	`stop_sent_at` text,
	`updated_at` text DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')) NOT NULL,
	FOREIGN KEY (`session_id`) REFERENCES `sessions`(`session_id`) ON UPDATE no action ON DELETE cascade,
	CONSTRAINT "runs_status" CHECK(status IN ('pending', 'claimed', 'running', 'stopping', 'completed', 'failed', 'stopped')),
	CONSTRAINT "runs_type" CHECK(type IN ('start_session', 'resume_session')),
	CONSTRAINT "runs_execution_mode" CHECK(execution_mode IN ('sync', 'async_poll', 'async_callback')),
	CONSTRAINT "runs_parameters" CHECK(json_type(parameters) = 'object'),
	CONSTRAINT "runs_demands" CHECK(demands IS NULL OR (json_type(demands) = 'object' AND coalesce(json_type(demands, '$.tags'), 'array') = 'array'))
);
--> statement-breakpoint
CREATE UNIQUE INDEX `runs_run_id_unique` ON `runs` (`run_id`);--> statement-breakpoint
CREATE INDEX `idx_runs_status_created` ON `runs` (`status`,`created_at`);--> statement-breakpoint
CREATE INDEX `idx_runs_session` ON `runs` (`session_id`,`created_at`);--> statement-breakpoint
CREATE INDEX `idx_runs_runner` ON `runs` (`runner_id`,`created_at`) WHERE runner_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX `idx_runs_claim` ON `runs` (`demand_key`,priority DESC,`created_at`) WHERE status = 'pending';--> statement-breakpoint
CREATE INDEX `idx_runs_timeout` ON `runs` (`timeout_at`) WHERE status = 'pending' AND timeout_at IS NOT NULL;--> statement-breakpoint
CREATE INDEX `idx_runs_stopping` ON `runs` (`runner_id`) WHERE status = 'stopping';--> statement-breakpoint
CREATE INDEX `idx_runs_claim_key` ON `runs` (`claim_key`) WHERE claim_key IS NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX `idx_runs_idempotency` ON `runs` (`idempotency_key`) WHERE idempotency_key IS NOT NULL;--> statement-breakpoint
CREATE TABLE `session_events` (
	`id` integer PRIMARY KEY NOT NULL,
	`session_id` text NOT NULL,
	`run_id` text,
	`event_type` text NOT NULL,
	`timestamp` text NOT NULL,
	`payload` text NOT NULL,
	FOREIGN KEY (`session_id`) REFERENCES `sessions`(`session_id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `idx_session_events_session` ON `session_events` (`session_id`,`id`);--> statement-breakpoint
CREATE TABLE `sessions` (
	`seq` integer PRIMARY KEY NOT NULL,
	`session_id` text NOT NULL,
	`status` text NOT NULL,
	`created_at` text NOT NULL,
	`project_dir` text,
	`agent_name` text,
	`last_resumed_at` text,
	`parent_session_id` text,
	`executor_session_id` text,
	`executor_profile` text,
	`executor_type` text,
	`hostname` text,
	`runner_id` text,
	`stop_sent_at` text,
	`updated_at` text NOT NULL,
	CONSTRAINT "sessions_status" CHECK(status IN ('pending', 'running', 'idle', 'stopping', 'stopped', 'finished', 'failed'))
);
--> statement-breakpoint
CREATE UNIQUE INDEX `sessions_session_id_unique` ON `sessions` (`session_id`);--> statement-breakpoint
CREATE INDEX `idx_sessions_idle` ON `sessions` (`runner_id`) WHERE status = 'idle';--> statement-breakpoint
CREATE INDEX `idx_sessions_stopping` ON `sessions` (`runner_id`) WHERE status = 'stopping';
CREATE TABLE "counters" (
	"name" text COLLATE "C" NOT NULL,
	"shard" integer NOT NULL,
	"value" bigint NOT NULL,
	CONSTRAINT "counters_name_shard_pk" PRIMARY KEY("name","shard")
);
--> statement-breakpoint
CREATE TABLE "run_events" (
	"event_id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "run_events_event_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"xid" "xid8" DEFAULT pg_current_xact_id() NOT NULL,
	"run_seq" bigint NOT NULL,
	"at" text COLLATE "C" NOT NULL,
	"from_status" text COLLATE "C",
	"to_status" text COLLATE "C" NOT NULL,
	"runner_id" text COLLATE "C"
);
--> statement-breakpoint
CREATE TABLE "runner_signals" (
	"signal_id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "runner_signals_signal_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"xid" "xid8" DEFAULT pg_current_xact_id() NOT NULL,
	"runner_id" text COLLATE "C" NOT NULL
);
--> statement-breakpoint
CREATE TABLE "runners" (
	"runner_id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"hostname" text COLLATE "C" NOT NULL,
	"project_dir" text COLLATE "C" NOT NULL,
	"executor_type" text COLLATE "C",
	"executor_profile" text COLLATE "C",
	"executor" json,
	"agents" json,
	"tags" jsonb NOT NULL,
	"require_matching_tags" boolean NOT NULL,
	"registered_at" text COLLATE "C" NOT NULL,
	"last_heartbeat" text COLLATE "C" NOT NULL,
	"deregistered_at" text COLLATE "C",
	"token_id" text COLLATE "C"
);
--> statement-breakpoint
CREATE TABLE "runs" (
	"seq" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "runs_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"run_id" text COLLATE "C" NOT NULL,
	"session_id" text COLLATE "C" NOT NULL,
	"type" text COLLATE "C" NOT NULL,
	"agent_name" text COLLATE "C",
	"parameters" json NOT NULL,
	"scope" json,
	"project_dir" text COLLATE "C",
	"parent_session_id" text COLLATE "C",
	"execution_mode" text COLLATE "C" DEFAULT 'sync' NOT NULL,
	"demands" jsonb,
	"demand_key" text[] DEFAULT '{"","","",""}' NOT NULL,
	"priority" integer DEFAULT 0 NOT NULL,
	"status" text COLLATE "C" DEFAULT 'pending' NOT NULL,
	"runner_id" text COLLATE "C",
	"error" text COLLATE "C",
	"result" json,
	"attempt" integer DEFAULT 0 NOT NULL,
	"max_attempts" integer DEFAULT 1 NOT NULL,
	"retry_delay_seconds" double precision,
	"on_lost" text COLLATE "C" DEFAULT 'fail' NOT NULL,
	"claim_token" text COLLATE "C",
	"claim_key" text COLLATE "C",
	"idempotency_key" text COLLATE "C",
	"idempotency_fingerprint" text COLLATE "C",
	"created_at" text COLLATE "C" DEFAULT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') NOT NULL,
	"claimed_at" text COLLATE "C",
	"started_at" text COLLATE "C",
	"completed_at" text COLLATE "C",
	"available_at" text COLLATE "C",
	"timeout_at" text COLLATE "C",
	"timeout_seconds" double precision,
	"stop_sent_at" text COLLATE "C",
	"updated_at" text COLLATE "C" DEFAULT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') NOT NULL,
	CONSTRAINT "runs_run_id_unique" UNIQUE("run_id"),
	CONSTRAINT "runs_status" CHECK (status IN ('pending', 'claimed', 'running', 'stopping', 'completed', 'failed', 'stopped')),
	CONSTRAINT "runs_type" CHECK (type IN ('start_session', 'resume_session')),
	CONSTRAINT "runs_execution_mode" CHECK (execution_mode IN ('sync', 'async_poll', 'async_callback')),
	CONSTRAINT "runs_on_lost" CHECK (on_lost IN ('fail', 'requeue')),
	CONSTRAINT "runs_parameters" CHECK (json_typeof(parameters) = 'object'),
	CONSTRAINT "runs_demands" CHECK (demands IS NULL OR (jsonb_typeof(demands) = 'object' AND coalesce(jsonb_typeof(demands -> 'tags'), 'array') = 'array'))
);
--> statement-breakpoint
CREATE TABLE "session_events" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "session_events_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"session_seq" bigint NOT NULL,
	"run_id" text COLLATE "C",
	"event_type" text COLLATE "C" NOT NULL,
	"timestamp" text COLLATE "C" NOT NULL,
	"payload" json NOT NULL
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"seq" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "sessions_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"session_id" text COLLATE "C" NOT NULL,
	"status" text COLLATE "C" NOT NULL,
	"created_at" text COLLATE "C" NOT NULL,
	"project_dir" text COLLATE "C",
	"agent_name" text COLLATE "C",
	"last_resumed_at" text COLLATE "C",
	"parent_session_id" text COLLATE "C",
	"executor_session_id" text COLLATE "C",
	"executor_profile" text COLLATE "C",
	"executor_type" text COLLATE "C",
	"hostname" text COLLATE "C",
	"runner_id" text COLLATE "C",
	"stop_sent_at" text COLLATE "C",
	"updated_at" text COLLATE "C" NOT NULL,
	CONSTRAINT "sessions_session_id_unique" UNIQUE("session_id"),
	CONSTRAINT "sessions_status" CHECK (status IN ('pending', 'running', 'idle', 'stopping', 'stopped', 'finished', 'failed'))
);
--> statement-breakpoint
CREATE TABLE "tokens" (
	"token_id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"role" text COLLATE "C" NOT NULL,
	"token_hash" text COLLATE "C" NOT NULL,
	"created_at" text COLLATE "C" NOT NULL,
	"expires_at" text COLLATE "C",
	"revoked_at" text COLLATE "C",
	"bucket_level" double precision DEFAULT 0 NOT NULL,
	"bucket_at" text COLLATE "C",
	CONSTRAINT "tokens_token_hash_unique" UNIQUE("token_hash"),
	CONSTRAINT "tokens_role" CHECK (role IN ('client', 'runner', 'admin'))
);
--> statement-breakpoint
ALTER TABLE "runs" ADD CONSTRAINT "runs_session_id_sessions_session_id_fk" FOREIGN KEY ("session_id") REFERENCES "sessions"("session_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "session_events" ADD CONSTRAINT "session_events_session_seq_sessions_seq_fk" FOREIGN KEY ("session_seq") REFERENCES "sessions"("seq") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "idx_run_events_xid" ON "run_events" USING btree ("xid");--> statement-breakpoint
CREATE INDEX "idx_runner_signals_xid" ON "runner_signals" USING btree ("xid");--> statement-breakpoint
CREATE INDEX "idx_runners_registered" ON "runners" USING btree ("registered_at","runner_id");--> statement-breakpoint
CREATE INDEX "idx_runners_heartbeat" ON "runners" USING btree ("last_heartbeat");--> statement-breakpoint
CREATE INDEX "idx_runs_status_created" ON "runs" USING btree ("status","created_at","seq");--> statement-breakpoint
CREATE INDEX "idx_runs_session" ON "runs" USING btree ("session_id","created_at","seq");--> statement-breakpoint
CREATE INDEX "idx_runs_runner" ON "runs" USING btree ("runner_id","created_at","seq") WHERE runner_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX "idx_runs_claim" ON "runs" USING btree (demand_key COLLATE "C",priority DESC,"created_at","seq") WHERE status = 'pending' AND available_at IS NULL;--> statement-breakpoint
CREATE INDEX "idx_runs_available" ON "runs" USING btree ("available_at") WHERE status = 'pending' AND available_at IS NOT NULL;--> statement-breakpoint
CREATE INDEX "idx_runs_timeout" ON "runs" USING btree ("timeout_at") WHERE status = 'pending' AND timeout_at IS NOT NULL;--> statement-breakpoint
CREATE INDEX "idx_runs_stopping" ON "runs" USING btree ("runner_id") WHERE status = 'stopping';--> statement-breakpoint
CREATE INDEX "idx_runs_claim_key" ON "runs" USING btree ("claim_key") WHERE claim_key IS NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "idx_runs_idempotency" ON "runs" USING btree ("idempotency_key") WHERE idempotency_key IS NOT NULL;--> statement-breakpoint
CREATE INDEX "idx_session_events_session" ON "session_events" USING btree ("session_seq","id");--> statement-breakpoint
CREATE INDEX "idx_sessions_idle" ON "sessions" USING btree ("runner_id") WHERE status = 'idle';--> statement-breakpoint
CREATE INDEX "idx_sessions_stopping" ON "sessions" USING btree ("runner_id") WHERE status = 'stopping';
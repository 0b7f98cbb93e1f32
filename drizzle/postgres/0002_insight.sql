-- Why and by whom runs change; outcomes that wait for their parents.
CREATE TABLE "callbacks" (
	"callback_id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "callbacks_callback_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"parent_session_id" text COLLATE "C" NOT NULL,
	"child_session_id" text COLLATE "C" NOT NULL,
	"child_run_id" text COLLATE "C" NOT NULL,
	"status" text COLLATE "C" NOT NULL,
	"text" text COLLATE "C" NOT NULL,
	"created_at" text COLLATE "C" NOT NULL
);
--> statement-breakpoint
ALTER TABLE "run_events" ADD COLUMN "cause" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "run_events" ADD COLUMN "changed_by" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "run_events" ADD COLUMN "attempt" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "run_events" ADD COLUMN "detail" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "cause" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "changed_by" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "traceparent" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "callbacks" ADD CONSTRAINT "callbacks_parent_session_id_sessions_session_id_fk" FOREIGN KEY ("parent_session_id") REFERENCES "sessions"("session_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "idx_callbacks_parent" ON "callbacks" USING btree ("parent_session_id","callback_id");--> statement-breakpoint
CREATE INDEX "idx_run_events_run" ON "run_events" USING btree ("run_seq","event_id");
--> statement-breakpoint
-- The history of a run lives as long as the run does.
DELETE FROM "run_events" WHERE NOT EXISTS (SELECT 1 FROM "runs" WHERE "runs".seq = "run_events".run_seq);
--> statement-breakpoint
CREATE OR REPLACE FUNCTION runqueue.tell_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO runqueue.run_events (run_seq, at, from_status, to_status, runner_id, cause, changed_by, attempt)
  VALUES (NEW.seq, NEW.updated_at, NULL, NEW.status, NEW.runner_id, NEW.cause, NEW.changed_by, NEW.attempt);
  PERFORM runqueue.hint();
  RETURN NULL;
END $$;
--> statement-breakpoint
-- A statement that leaves the cause as it was is not the service's, which names another for each change
-- of the status; of changes that leave the status, what changed tells the cause.
CREATE OR REPLACE FUNCTION runqueue.tell_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO runqueue.run_events
    (run_seq, at, from_status, to_status, runner_id, cause, changed_by, attempt, detail)
  VALUES (
    NEW.seq, NEW.updated_at, OLD.status, NEW.status, coalesce(NEW.runner_id, OLD.runner_id),
    CASE
      WHEN NEW.cause IS DISTINCT FROM OLD.cause THEN NEW.cause
      WHEN NEW.status <> OLD.status THEN NULL
      WHEN NEW.demands IS DISTINCT FROM OLD.demands THEN 'demands_changed'
      WHEN NEW.available_at IS NULL THEN 'became_available'
    END,
    CASE WHEN NEW.cause IS DISTINCT FROM OLD.cause THEN NEW.changed_by END,
    greatest(NEW.attempt, OLD.attempt),
    -- The same error may end one attempt after the other.
    CASE WHEN NEW.status = 'failed' OR NEW.error IS DISTINCT FROM OLD.error
        OR (NEW.status = 'pending'
          AND (OLD.status = 'running' OR (OLD.status = 'claimed' AND NEW.cause = 'attempt_failed')))
      THEN left(NEW.error, 1000) END);
  PERFORM runqueue.hint();
  RETURN NULL;
END $$;
--> statement-breakpoint
-- So that the next change is told from this one, though it may name the cause that is left here.
CREATE FUNCTION runqueue.forget_cause() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.cause := NULL;
  NEW.changed_by := NULL;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER runs_changed_by_hand BEFORE UPDATE OF status ON "runs"
FOR EACH ROW WHEN (NEW.status <> OLD.status AND NEW.cause IS NOT NULL
  AND NEW.cause IS NOT DISTINCT FROM OLD.cause)
EXECUTE FUNCTION runqueue.forget_cause();
--> statement-breakpoint
-- Metrics are the sum of all events, folded into counters up to metrics_position. Of transactions that
-- were under way then, events follow; each fold goes on in the order of this index.
DROP INDEX "idx_run_events_xid";--> statement-breakpoint
CREATE INDEX "idx_run_events_xid" ON "run_events" USING btree ("xid","event_id");--> statement-breakpoint
CREATE TABLE "metrics_position" (
	"snapshot" "pg_snapshot" NOT NULL,
	"event_id" bigint NOT NULL,
	"newest_event_id" bigint NOT NULL,
	"floor_event_id" bigint NOT NULL
);
--> statement-breakpoint
INSERT INTO "metrics_position" VALUES ('1:1:', 0, 0, 0);
--> statement-breakpoint
-- What there was before the first event that is kept.
INSERT INTO "counters" (name, shard, value)
SELECT 'metrics_runs_' || status, 0, sum(runs) FROM (
  SELECT status, count(*) AS runs FROM "runs" GROUP BY status
  UNION ALL SELECT to_status, -count(*) FROM "run_events" GROUP BY to_status
  UNION ALL SELECT from_status, count(*) FROM "run_events"
    WHERE from_status IS NOT NULL GROUP BY from_status) AS known
GROUP BY status;
--> statement-breakpoint
-- What is no time, having been written by plain SQL, must not keep the rest from being counted.
CREATE FUNCTION runqueue.milliseconds_between(earlier text, later text) RETURNS bigint
LANGUAGE plpgsql STABLE STRICT AS $$
BEGIN
  RETURN greatest(0, round(extract(epoch FROM later::timestamptz - earlier::timestamptz) * 1000));
EXCEPTION WHEN data_exception THEN
  RETURN NULL;
END $$;
--> statement-breakpoint
-- The history of a run that was deleted, unless some of it is still to be folded.
CREATE FUNCTION runqueue.forget_events(seq bigint) RETURNS void LANGUAGE sql
BEGIN ATOMIC
  DELETE FROM runqueue.run_events
  WHERE run_seq = forget_events.seq AND NOT EXISTS (
    SELECT 1 FROM runqueue.run_events AS unfolded, runqueue.metrics_position AS place
    WHERE unfolded.run_seq = forget_events.seq
      AND NOT pg_visible_in_snapshot(unfolded.xid, place.snapshot)
      AND NOT (unfolded.xid = pg_snapshot_xmax(place.snapshot) AND unfolded.event_id <= place.event_id)
      AND unfolded.event_id > place.floor_event_id);
END;
--> statement-breakpoint
-- The lock lasts until the commit: a fold waits for it, and then finds the runs gone, or came first, and
-- is then known here. What runs there are is what events tell, but for those that are deleted.
CREATE FUNCTION runqueue.forget_runs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  run record;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM gone) THEN
    RETURN NULL;
  END IF;
  PERFORM 1 FROM runqueue.metrics_position FOR SHARE;
  FOR run IN SELECT seq FROM gone LOOP
    PERFORM runqueue.forget_events(run.seq);
  END LOOP;
  INSERT INTO runqueue.counters (name, shard, value)
  SELECT 'metrics_runs_' || status, pg_backend_pid() % 32, -count(*) FROM gone
  GROUP BY status ORDER BY status
  ON CONFLICT (name, shard) DO UPDATE SET value = counters.value + excluded.value;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER runs_deleted AFTER DELETE ON "runs" REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION runqueue.forget_runs();
--> statement-breakpoint
-- What changes in sessions, for those who follow them live: from when somebody first did, the row is
-- there in counters, and until then the triggers find nothing to write.
CREATE TABLE "session_changes" (
	"change_id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "session_changes_change_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"sequence" bigint,
	"at" text COLLATE "C" NOT NULL,
	"kind" text COLLATE "C" NOT NULL,
	"session_id" text COLLATE "C" NOT NULL,
	"event_id" bigint,
	"data" json,
	CONSTRAINT "session_changes_sequence_unique" UNIQUE("sequence")
);
--> statement-breakpoint
CREATE INDEX "idx_session_changes_new" ON "session_changes" USING btree ("change_id") WHERE sequence IS NULL;
--> statement-breakpoint
CREATE SEQUENCE "session_changes_sequence";
--> statement-breakpoint
CREATE FUNCTION runqueue.tell_session_change(kind text, session_id text, event_id bigint, data json)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  newest bigint;
BEGIN
  INSERT INTO runqueue.session_changes (at, kind, session_id, event_id, data)
  VALUES (to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    kind, session_id, event_id, data)
  RETURNING change_id INTO newest;
  DELETE FROM runqueue.session_changes WHERE change_id IN (
    SELECT change_id FROM runqueue.session_changes WHERE change_id <= newest - 10000
    ORDER BY change_id LIMIT 10 FOR UPDATE SKIP LOCKED);
  PERFORM runqueue.hint();
END $$;
--> statement-breakpoint
CREATE FUNCTION runqueue.session_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM runqueue.counters WHERE name = 'session_changes') THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'DELETE' THEN
    PERFORM runqueue.tell_session_change('session_deleted', OLD.session_id, NULL, NULL);
  ELSE
    PERFORM runqueue.tell_session_change(
      CASE TG_OP WHEN 'INSERT' THEN 'session_created' ELSE 'session_updated' END,
      NEW.session_id, NULL, json_build_object(
        'session_id', NEW.session_id, 'status', NEW.status, 'created_at', NEW.created_at,
        'project_dir', NEW.project_dir, 'agent_name', NEW.agent_name,
        'last_resumed_at', NEW.last_resumed_at, 'parent_session_id', NEW.parent_session_id,
        'executor_session_id', NEW.executor_session_id, 'executor_profile', NEW.executor_profile,
        'hostname', NEW.hostname));
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER session_changes_created AFTER INSERT OR DELETE ON "sessions"
FOR EACH ROW EXECUTE FUNCTION runqueue.session_changed();
--> statement-breakpoint
CREATE TRIGGER session_changes_updated AFTER UPDATE ON "sessions"
FOR EACH ROW WHEN (NEW.status IS DISTINCT FROM OLD.status OR NEW.created_at IS DISTINCT FROM OLD.created_at
  OR NEW.project_dir IS DISTINCT FROM OLD.project_dir
  OR NEW.agent_name IS DISTINCT FROM OLD.agent_name
  OR NEW.last_resumed_at IS DISTINCT FROM OLD.last_resumed_at
  OR NEW.parent_session_id IS DISTINCT FROM OLD.parent_session_id
  OR NEW.executor_session_id IS DISTINCT FROM OLD.executor_session_id
  OR NEW.executor_profile IS DISTINCT FROM OLD.executor_profile
  OR NEW.hostname IS DISTINCT FROM OLD.hostname)
EXECUTE FUNCTION runqueue.session_changed();
--> statement-breakpoint
CREATE FUNCTION runqueue.session_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM runqueue.counters WHERE name = 'session_changes') THEN
    PERFORM runqueue.tell_session_change('event', session_id, NEW.id, NULL)
    FROM runqueue.sessions WHERE seq = NEW.session_seq;
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER session_changes_event AFTER INSERT ON "session_events"
FOR EACH ROW EXECUTE FUNCTION runqueue.session_told();
--> statement-breakpoint
CREATE FUNCTION runqueue.session_run_failed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM runqueue.counters WHERE name = 'session_changes') THEN
    PERFORM runqueue.tell_session_change('run_failed', NEW.session_id, NULL,
      json_build_object('run_id', NEW.run_id, 'error', NEW.error));
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER session_changes_failed AFTER UPDATE OF status ON "runs"
FOR EACH ROW WHEN (NEW.status = 'failed' AND OLD.status <> 'failed'
  AND NEW.cause IN ('match_timed_out', 'runner_lost', 'runner_removed', 'recovered'))
EXECUTE FUNCTION runqueue.session_run_failed();
--> statement-breakpoint
-- What a child came to is kept for its parent, whoever ended it; of a long text one character more
-- than the parent is told, so that the cut shows. The parent's session is locked, so that no run of
-- it ends unseen meanwhile. The other way round, a statement that ended a run by itself (runqueue.alone)
-- and could not see what came for its session has to be done again, in a transaction that looks.
CREATE FUNCTION runqueue.run_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.execution_mode = 'async_callback' AND NEW.parent_session_id <> NEW.session_id THEN
    INSERT INTO runqueue.callbacks
      (parent_session_id, child_session_id, child_run_id, status, text, created_at)
    SELECT parent.session_id, NEW.session_id, NEW.run_id,
      CASE WHEN NEW.status = 'completed' THEN 'completed' ELSE 'failed' END,
      left(coalesce(CASE NEW.status
        WHEN 'failed' THEN NEW.error
        WHEN 'stopped' THEN 'The run was stopped'
        ELSE coalesce(
          nullif((NEW.result -> 'data')::text, 'null'),
          NEW.result ->> 'text',
          (SELECT coalesce(nullif((payload -> 'result_data')::text, 'null'), payload ->> 'result_text')
           FROM runqueue.session_events
           WHERE session_seq = child.seq AND (run_id = NEW.run_id OR run_id IS NULL)
             AND event_type = 'result'
           ORDER BY id DESC LIMIT 1),
          (SELECT CASE json_typeof(payload -> 'content') WHEN 'string' THEN payload ->> 'content'
             ELSE payload #>> '{content,0,text}' END
           FROM runqueue.session_events
           WHERE session_seq = child.seq AND (run_id = NEW.run_id OR run_id IS NULL)
             AND event_type = 'message' AND payload ->> 'role' = 'assistant'
           ORDER BY id DESC LIMIT 1))
      END, ''), 65537),
      NEW.updated_at
    FROM runqueue.sessions AS parent CROSS JOIN runqueue.sessions AS child
    WHERE parent.session_id = NEW.parent_session_id AND child.session_id = NEW.session_id
    FOR NO KEY UPDATE OF parent;
  END IF;
  IF current_setting('runqueue.alone', true) = 'on' AND EXISTS (
    SELECT 1 FROM runqueue.callbacks WHERE parent_session_id = NEW.session_id) THEN
    RAISE serialization_failure USING MESSAGE = 'a child of this session ended meanwhile';
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER runs_ended AFTER UPDATE OF status ON "runs"
FOR EACH ROW WHEN (NEW.status IN ('completed', 'failed', 'stopped')
  AND OLD.status NOT IN ('completed', 'failed', 'stopped'))
EXECUTE FUNCTION runqueue.run_ended();
--> statement-breakpoint
-- Deleted before its end, it has no other.
CREATE FUNCTION runqueue.run_ended_by_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO runqueue.callbacks
    (parent_session_id, child_session_id, child_run_id, status, text, created_at)
  SELECT session_id, OLD.session_id, OLD.run_id, 'failed', 'The run was deleted',
    to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
  FROM runqueue.sessions WHERE session_id = OLD.parent_session_id FOR NO KEY UPDATE;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER runs_ended_by_deletion AFTER DELETE ON "runs"
FOR EACH ROW WHEN (OLD.execution_mode = 'async_callback' AND OLD.parent_session_id <> OLD.session_id
  AND OLD.status NOT IN ('completed', 'failed', 'stopped'))
EXECUTE FUNCTION runqueue.run_ended_by_deletion();

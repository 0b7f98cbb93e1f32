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
CREATE FUNCTION runqueue.forget_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM runqueue.run_events WHERE run_seq = OLD.seq;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER runs_deleted AFTER DELETE ON "runs"
FOR EACH ROW EXECUTE FUNCTION runqueue.forget_run();

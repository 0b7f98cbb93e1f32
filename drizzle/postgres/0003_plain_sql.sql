-- A run may come by `INSERT INTO runs (parameters) …` alone: its ids have defaults, and its session is
-- made.
ALTER TABLE "runs" ALTER COLUMN "run_id" SET DEFAULT 'run_' || right(gen_random_uuid()::text, 12);--> statement-breakpoint
ALTER TABLE "runs" ALTER COLUMN "session_id" SET DEFAULT 'ses_' || right(gen_random_uuid()::text, 12);--> statement-breakpoint
ALTER TABLE "runs" ALTER COLUMN "type" SET DEFAULT 'start_session';
--> statement-breakpoint
-- The service names a cause and has seen to all of this itself. First what is refused, in words that
-- constraints have not; then the session: a new one, or one that ended and waits again. Before the
-- run, since the foreign key is looked at before other triggers that come after it.
CREATE FUNCTION runqueue.run_by_hand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF json_typeof(NEW.parameters) IS DISTINCT FROM 'object'
    OR json_typeof(NEW.parameters -> 'prompt') IS DISTINCT FROM 'string'
    OR NEW.parameters ->> 'prompt' = '' THEN
    RAISE check_violation USING MESSAGE =
      'runs.parameters must be a JSON object with a prompt, such as {"prompt":"hello"}';
  END IF;
  IF jsonb_typeof(NEW.demands) <> 'object'
    OR jsonb_typeof(NEW.demands -> 'tags') <> 'array' THEN
    RAISE check_violation USING MESSAGE =
      'runs.demands must be a JSON object with a list of tags, such as {"tags":["gpu"]}';
  END IF;
  IF NEW.type NOT IN ('start_session', 'resume_session') THEN
    RAISE check_violation USING MESSAGE = 'runs.type is start_session or resume_session';
  END IF;
  IF NEW.status <> 'pending' OR EXISTS (SELECT 1 FROM runqueue.runs WHERE run_id = NEW.run_id) THEN
    RETURN NEW;
  END IF;
  IF NEW.type = 'resume_session' THEN
    UPDATE runqueue.sessions
    SET status = 'pending', last_resumed_at = NEW.created_at, updated_at = NEW.updated_at
    WHERE session_id = NEW.session_id AND status IN ('idle', 'finished', 'stopped', 'failed');
    IF NOT FOUND AND NOT EXISTS (
      SELECT 1 FROM runqueue.sessions WHERE session_id = NEW.session_id) THEN
      RAISE foreign_key_violation USING MESSAGE =
        'runs.session_id must be of a session that is there, where the type is resume_session';
    END IF;
  ELSE
    INSERT INTO runqueue.sessions
      (session_id, status, created_at, project_dir, agent_name, parent_session_id, updated_at)
    VALUES (NEW.session_id, 'pending', NEW.created_at, NEW.project_dir, NEW.agent_name,
      NEW.parent_session_id, NEW.updated_at)
    ON CONFLICT (session_id) DO NOTHING;
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
-- Its name comes first of those before an insert, so that demands are seen as they were given.
CREATE TRIGGER runs_by_hand BEFORE INSERT ON "runs"
FOR EACH ROW WHEN (NEW.cause IS NULL) EXECUTE FUNCTION runqueue.run_by_hand();

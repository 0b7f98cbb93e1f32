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
--> statement-breakpoint
-- Whether a caller may act for a runner; NULL: yes, or there is no such runner, which is for others to
-- tell. The token is looked at again, since a poll may have waited since its request was let in.
CREATE FUNCTION runqueue.refusal(of_runner text, by_token text, by_admin boolean, instant text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
  owner text;
BEGIN
  IF by_token IS NULL THEN RETURN NULL; END IF;
  IF NOT EXISTS (
    SELECT 1 FROM runqueue.tokens WHERE token_id = by_token AND revoked_at IS NULL
      AND (expires_at IS NULL OR expires_at > instant)) THEN
    RETURN 'invalid_token';
  END IF;
  IF by_admin THEN RETURN NULL; END IF;
  SELECT token_id INTO owner FROM runqueue.runners WHERE runner_id = of_runner;
  IF NOT FOUND OR owner = by_token THEN RETURN NULL; END IF;
  RETURN CASE WHEN owner IS NULL THEN 'runner_not_registered' ELSE 'runner_not_yours' END;
END $$;
--> statement-breakpoint
-- What claimers may take, the first few runs of each demand, best first: as many as they want of it
-- together, and some to spare. ROWS 1: what is joined to it is sought, however few rows there seem.
CREATE FUNCTION runqueue.candidates(runner_ids text[], wants integer[], spare integer)
RETURNS TABLE (seq bigint, key text[], claimers integer[]) LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH RECURSIVE
    -- What claimers offer; those who offer the same seek together.
    offers AS MATERIALIZED (
      SELECT row_number() OVER () AS offer, hostname, project_dir, executor_type, executor_profile,
        tags, require_matching_tags, array_agg(number) AS claimers
      FROM (
        SELECT number::integer, runners.* FROM unnest(wants) WITH ORDINALITY AS claim(wanted, number)
        JOIN runqueue.runners ON runner_id = runner_ids[number]
        WHERE wanted > 0 AND deregistered_at IS NULL
      ) AS claiming
      GROUP BY hostname, project_dir, executor_type, executor_profile, tags, require_matching_tags),
    -- What may stand at each place of a key: 1 to 4 the properties (or none), from 5 on the tags.
    parts(offer, place, part) AS MATERIALIZED (
      SELECT offer, place, runqueue.key_part(value) COLLATE "C" FROM (
        SELECT offer, 1 AS place, hostname AS value FROM offers
        UNION ALL SELECT offer, 2, project_dir FROM offers
        UNION ALL SELECT offer, 3, executor_type FROM offers
        UNION ALL SELECT offer, 4, executor_profile FROM offers
        UNION ALL SELECT offer, none.place, none.value FROM offers,
          (VALUES (1, ''), (2, ''), (3, ''), (4, ''), (5, U&'\+10FFFF')) AS none(place, value)
        UNION ALL SELECT offer, 5, tag FROM offers, jsonb_array_elements_text(tags) AS tag
      ) AS offered
      WHERE value IS NOT NULL),
    -- `lacks`: the place of the first part that is not offered; NULL: all are. The key of runs that
    -- demand nothing, which most are, is told from others without looking inside.
    demanded(offer, key, lacks) AS (
      SELECT offer, found.key, CASE WHEN found.key = '{"","","",""}' THEN NULL ELSE (
        SELECT min(place) FROM unnest(found.key) WITH ORDINALITY AS part(value, place)
        WHERE NOT EXISTS (
          SELECT 1 FROM parts WHERE parts.offer = offers.offer
            AND parts.place = least(part.place, 5) AND parts.part = part.value)) END
      FROM offers CROSS JOIN LATERAL (
        SELECT demand_key AS key FROM runqueue.runs WHERE status = 'pending' AND available_at IS NULL
        ORDER BY demand_key COLLATE "C" LIMIT 1) AS found
      UNION ALL
      SELECT offer, found.key, CASE WHEN found.key = '{"","","",""}' THEN NULL ELSE (
        SELECT min(place) FROM unnest(found.key) WITH ORDINALITY AS part(value, place)
        WHERE NOT EXISTS (
          SELECT 1 FROM parts WHERE parts.offer = demanded.offer
            AND parts.place = least(part.place, 5) AND parts.part = part.value)) END
      -- The next hop goes to the least key, after the one found, that may be met. It differs from
      -- this one as late as it can; nothing comes between a key and the same with '' behind it.
      FROM demanded CROSS JOIN LATERAL (
        SELECT demand_key AS key FROM runqueue.runs
        WHERE status = 'pending' AND available_at IS NULL AND demand_key COLLATE "C" >=
          CASE WHEN demanded.lacks IS NULL THEN demanded.key || ''::text ELSE (
            SELECT demanded.key[:turn.place - 1] || turn.part
            FROM (
              SELECT place, (
                SELECT min(part) FROM parts
                WHERE parts.offer = demanded.offer AND parts.place = least(places.place, 5)
                  AND part > demanded.key[places.place] COLLATE "C") AS part
              FROM generate_series(1, demanded.lacks::integer) AS places(place)) AS turn
            WHERE turn.part IS NOT NULL
            ORDER BY turn.place DESC LIMIT 1) END
        ORDER BY demand_key COLLATE "C" LIMIT 1) AS found),
    -- Whose tags decide where the key leaves some out: those of one offer.
    met AS (
      SELECT key, array_agg(number ORDER BY number) AS claimers, sum(wants[number]) AS wanted,
        (array_agg(tags) FILTER (WHERE key[cardinality(key)] = U&'\+10FFFF'))[1] AS tags
      FROM demanded JOIN offers USING (offer) CROSS JOIN unnest(claimers) AS number
      WHERE lacks IS NULL AND (cardinality(key) > 4 OR NOT require_matching_tags)
      GROUP BY key, CASE WHEN key[cardinality(key)] = U&'\+10FFFF' THEN offer END)
  SELECT head.seq, met.key, met.claimers
  FROM met CROSS JOIN LATERAL (
    SELECT seq, priority, created_at FROM runqueue.runs
    WHERE status = 'pending' AND available_at IS NULL AND demand_key COLLATE "C" = met.key
      AND (met.tags IS NULL OR demands -> 'tags' <@ met.tags)
    ORDER BY priority DESC, created_at, seq LIMIT met.wanted + spare) AS head
  ORDER BY head.priority DESC, head.created_at, head.seq;
END $$;
--> statement-breakpoint
-- The claims that come at one moment, as src/postgres/claim.ts tells. Each element of `asked` is a
-- claim; `place` is where it stands there. Runs that others have locked are passed over: `held` says
-- that a claim got nothing for that reason, and `spare`, how many of a key it looks at beyond those
-- that are wanted.
CREATE FUNCTION runqueue.claim(asked jsonb, spare integer)
RETURNS TABLE (place integer, refused text, held boolean, run runqueue.runs) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  given record;
  candidate record;
  claimer integer;
  runner_ids text[] := '{}';
  wants integer[] := '{}';
  missing integer := 0;
  taken bigint[] := '{}';
  takers integer[] := '{}';
  passed integer[] := '{}';
BEGIN
  FOR given IN
    SELECT ordinality::integer AS place, wanted, runner_id,
      runqueue.refusal(runner_id, token_id, is_admin, now) AS refused
    FROM ROWS FROM (jsonb_to_recordset(asked) AS (
      runner_id text, wanted integer, token_id text, is_admin boolean, now text)) WITH ORDINALITY
  LOOP
    runner_ids := runner_ids || given.runner_id;
    wants := wants || CASE WHEN given.refused IS NULL THEN given.wanted ELSE 0 END;
    IF given.refused IS NOT NULL THEN
      RETURN QUERY SELECT given.place, given.refused, false, NULL::runqueue.runs;
    END IF;
  END LOOP;
  -- A claim that is repeated by its key gets the same runs. One that is still under way comes first;
  -- in the order of keys, so that nobody waits for another who waits.
  FOR given IN
    SELECT ordinality::integer AS place, runner_id, claim_key
    FROM ROWS FROM (jsonb_to_recordset(asked) AS (runner_id text, claim_key text)) WITH ORDINALITY
    WHERE claim_key IS NOT NULL AND wants[ordinality] > 0
    ORDER BY claim_key, runner_id
  LOOP
    PERFORM pg_advisory_xact_lock(hashtextextended(given.runner_id || ' ' || given.claim_key, 0));
    RETURN QUERY
      SELECT given.place, NULL::text, false, runs FROM runqueue.runs AS runs
      WHERE runs.claim_key = given.claim_key AND runs.runner_id || '' = given.runner_id
      ORDER BY runs.priority DESC, runs.created_at, runs.seq LIMIT 100;
    IF FOUND THEN wants[given.place] := 0; END IF;
  END LOOP;
  SELECT sum(wanted) INTO missing FROM unnest(wants) AS wanted;

  FOR candidate IN SELECT * FROM runqueue.candidates(runner_ids, wants, spare) LOOP
    -- The best run goes to the first who can take it: as if each claimed when its run's turn came.
    claimer := NULL;
    FOREACH claimer IN ARRAY candidate.claimers LOOP
      EXIT WHEN wants[claimer] > 0;
    END LOOP;
    CONTINUE WHEN wants[claimer] = 0 OR candidate.seq = ANY (taken);
    PERFORM 1 FROM runqueue.runs
    WHERE seq = candidate.seq AND status || '' = 'pending' AND available_at IS NULL
      AND demand_key = candidate.key
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      passed := passed || candidate.claimers;
      CONTINUE;
    END IF;
    taken := taken || candidate.seq;
    takers := takers || claimer;
    wants[claimer] := wants[claimer] - 1;
    missing := missing - 1;
    EXIT WHEN missing = 0;
  END LOOP;

  RETURN QUERY
    SELECT number, NULL::text, true, NULL::runqueue.runs
    FROM (SELECT DISTINCT number FROM unnest(passed) AS number) AS one
    WHERE number <> ALL (takers);
  IF taken = '{}' THEN RETURN; END IF;
  RETURN QUERY
  WITH
    claims AS MATERIALIZED (
      SELECT seq, number, asked -> (number - 1) AS claim,
        row_number() OVER (PARTITION BY number ORDER BY turn)::integer AS nth
      FROM unnest(taken, takers) WITH ORDINALITY AS one(seq, number, turn)
      -- The planner takes this for a single row, and so seeks its run, however few runs it knows of.
      WHERE seq + 0 = seq),
    -- Its removal waits for this claim, and then settles it; or came first, and nothing is claimed.
    holders AS MATERIALIZED (
      SELECT runner_id FROM runqueue.runners
      WHERE runner_id IN (SELECT claim ->> 'runner_id' FROM claims) AND deregistered_at IS NULL
      FOR KEY SHARE SKIP LOCKED),
    claimed AS (
      UPDATE runqueue.runs SET
        status = 'claimed',
        runner_id = holders.runner_id,
        claim_token = claim -> 'tokens' ->> (nth - 1),
        claim_key = claim ->> 'claim_key',
        claimed_at = claim ->> 'now',
        attempt = attempt + 1,
        cause = 'claimed',
        changed_by = 'runner',
        updated_at = claim ->> 'now'
      FROM claims JOIN holders ON holders.runner_id = claim ->> 'runner_id'
      WHERE runs.seq = claims.seq
      RETURNING number, nth, runs)
  SELECT number, NULL::text, false, claimed.runs FROM claimed ORDER BY number, nth;
END $$;

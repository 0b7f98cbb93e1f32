-- More of what a run that comes by plain SQL is refused for, in words: a column takes what it is given.
CREATE TRIGGER runs_by_hand_values BEFORE INSERT ON runs
WHEN NEW.cause IS NULL
BEGIN
  SELECT RAISE(ABORT, 'runs.priority must be a whole number from -1000000 to 1000000')
  WHERE typeof(NEW.priority) <> 'integer' OR NEW.priority NOT BETWEEN -1000000 AND 1000000;
  SELECT RAISE(ABORT, 'runs.max_attempts must be a whole number from 1 to 100')
  WHERE typeof(NEW.max_attempts) <> 'integer' OR NEW.max_attempts NOT BETWEEN 1 AND 100;
  SELECT RAISE(ABORT, 'runs.retry_delay_seconds must be a number from 0 to 86400')
  WHERE NOT (NEW.retry_delay_seconds IS NULL OR (typeof(NEW.retry_delay_seconds) = 'real'
    AND NEW.retry_delay_seconds BETWEEN 0 AND 86400));
  -- All times are compared as text.
  SELECT RAISE(ABORT, 'runs.created_at, available_at, timeout_at and updated_at must be in UTC, such as 2030-01-31T09:30:00.000Z, which strftime(''%Y-%m-%dT%H:%M:%fZ'', ''now'', ''+1 hour'') makes')
  WHERE EXISTS (
    SELECT 1 FROM json_each(json_array(
      NEW.created_at, NEW.available_at, NEW.timeout_at, NEW.updated_at))
    WHERE type <> 'null' AND strftime('%Y-%m-%dT%H:%M:%fZ', value) IS NOT value);
END;

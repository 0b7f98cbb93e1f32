/** All that the dashboard shows: loaded when somebody first looks, as a server starts without it. */
export { activityPart } from './activity.tsx'
export { overviewView } from './overview.tsx'
export { runPage } from './run.tsx'
export { runnerPage } from './runner.tsx'
export { runnersView } from './runners.tsx'
export { runsView } from './runs.tsx'
export { sessionsView, sessionView } from './sessions.tsx'
export { shellPage } from './shell.tsx'

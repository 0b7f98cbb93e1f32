/** Why a run is not further, or a runner gets nothing: as the API explains it. */
import type { RunExplanation, RunnerExplanation, RunnerMatch } from '../../queue/insight.ts'
import { countText, DemandChips, runHref, runnerHref, Status, Table, Theirs } from './parts.tsx'

interface WhyProps {
  summary: string
  reasons: readonly string[]
  outlook: string | null
}

const Why = ({ summary, reasons, outlook }: WhyProps) => (
  <div class="why">
    <p>
      <Theirs>{summary}</Theirs>
    </p>
    {reasons.length > 0 && (
      <ul>
        {reasons.map((reason) => (
          <li>
            <Theirs>{reason}</Theirs>
          </li>
        ))}
      </ul>
    )}
    {outlook !== null && (
      <p class="faint">
        <Theirs>{outlook}</Theirs>
      </p>
    )}
  </div>
)

export const RunWhy = ({ explanation }: { explanation: RunExplanation }) => (
  <section class="card" aria-labelledby="why-title">
    <h2 id="why-title">Where it stands</h2>
    <Why {...explanation} />
    {explanation.runners.length > 0 && (
      <details>
        <summary>What each runner offers</summary>
        <Matches runners={explanation.runners} />
        {explanation.runners_left_out.count > 0 && (
          <p class="faint foot">
            {countText(explanation.runners_left_out)} more are further from it.
          </p>
        )}
      </details>
    )}
  </section>
)

const Matches = ({ runners }: { runners: readonly RunnerMatch[] }) => (
  <Table label="Runners, the nearest to the run first">
    <thead>
      <tr>
        <th scope="col">State</th>
        <th scope="col">Runner on</th>
        <th scope="col" class="wide">
          For this run
        </th>
      </tr>
    </thead>
    <tbody>
      {runners.map(({ runner_id, state, hostname, summary }) => (
        <tr id={`match-${runner_id}`}>
          <td>
            <Status of={state} />
          </td>
          <td class="name">
            <a href={runnerHref(runner_id)}>
              <Theirs>{hostname}</Theirs>
            </a>
          </td>
          <td class="said">
            <Theirs>{summary}</Theirs>
          </td>
        </tr>
      ))}
    </tbody>
  </Table>
)

export const RunnerWhy = ({ explanation }: { explanation: RunnerExplanation }) => (
  <section class="card" aria-labelledby="why-title">
    <h2 id="why-title">Where it stands</h2>
    <Why {...explanation} />
    {explanation.unmet.length > 0 && (
      <details>
        <summary>What it does not meet</summary>
        <Table label="Demands that it does not meet, the nearest first">
          <thead>
            <tr>
              <th scope="col">Demands</th>
              <th scope="col" class="wide">
                What is missing
              </th>
              <th scope="col">First run</th>
            </tr>
          </thead>
          <tbody>
            {explanation.unmet.map(({ demands, summary, run_id }) => (
              <tr id={`unmet-${run_id}`}>
                <td>
                  <DemandChips demands={demands} />
                </td>
                <td class="said">
                  <Theirs>{summary}</Theirs>
                </td>
                <td>
                  <a class="id" href={runHref(run_id)}>
                    {run_id}
                  </a>
                </td>
              </tr>
            ))}
          </tbody>
        </Table>
      </details>
    )}
  </section>
)

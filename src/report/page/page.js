// Search and filter of the users; the page is whole without them. The filter stands in the
// address (#outcome=failed&q=user_2ab), so that a filtered view can be passed on.
(() => {
  "use strict";
  const element = (id) => document.getElementById(id);
  const query = element("query");
  const outcome = element("outcome");
  const groups = [...element("users").tBodies].map((body) => ({
    body,
    rows: [...body.rows].slice(1).map((row) => ({ row, text: row.textContent.toLowerCase() })),
  }));
  const nAll = groups.reduce((n, group) => n + group.rows.length, 0);

  const filter = () => {
    const wanted = query.value.trim().toLowerCase();
    let nFound = 0;
    for (const { body, rows } of groups) {
      const isWanted = outcome.value === "" || body.dataset.outcome === outcome.value;
      let nHere = 0;
      for (const { row, text } of rows) {
        const isFound = isWanted && text.includes(wanted);
        row.hidden = !isFound;
        nHere += isFound ? 1 : 0;
      }
      body.hidden = nHere === 0;
      nFound += nHere;
    }
    const number = (n) => n.toLocaleString("en");
    element("found").value = `${number(nFound)} of ${number(nAll)} rows`;
  };

  const fromAddress = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    query.value = asked.get("q") ?? "";
    outcome.value = asked.get("outcome") ?? "";
    if (outcome.selectedIndex < 0) {
      outcome.value = "";
    }
    filter();
  };

  const toAddress = () => {
    const asked = new URLSearchParams();
    if (outcome.value !== "") {
      asked.set("outcome", outcome.value);
    }
    if (query.value.trim() !== "") {
      asked.set("q", query.value.trim());
    }
    history.replaceState(null, "", `#${asked}`);
    filter();
  };

  query.addEventListener("input", toAddress);
  outcome.addEventListener("change", toAddress);
  addEventListener("hashchange", fromAddress);
  element("tools").hidden = false;
  fromAddress();
})();

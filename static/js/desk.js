/* The cleanup desks. The page works without this file: forms and links. With it a key is a decision: the next item is
   there before the key is up, the decision goes to the server behind it, in order, naming the item it is about. What the
   server cannot do comes back into the queue with its reason; what is being looked at is never taken away. */
(function () {
  "use strict";
  const desk = document.querySelector("[data-desk]");
  if (!desk || !window.fetch || !window.HTMLDialogElement) return;

  const find = (what, root = desk) => root.querySelector(what);
  const list = find("[data-desk-rows]");
  const place = find("[data-desk-item]");
  const saidLine = find("[data-desk-said]");
  const alarm = find("[data-desk-alarm]");
  const help = find("[data-desk-help]");
  const dialog = find("[data-desk-dialog]");
  const noun = desk.dataset.noun;
  const AHEAD = 3;
  const ROWS_LOW = 8;
  const PATIENCE_MS = 20000;

  /* id → markup of an item that was read ahead. */
  const ahead = new Map();
  const reading = new Map();
  /* Keys typed while the next item is not there yet; decisions on their way to the server. */
  let keys = [];
  let waiting = false;
  let awaited = "";
  let posts = [];
  let sending = false;
  let excluding = false;
  let last = null;

  /* ---- words ---- */

  const icon = (name) => {
    const drawn = document.querySelector("use");
    const file = drawn ? drawn.getAttribute("href").split("#")[0] : "";
    const box = document.createElement("span");
    box.innerHTML = '<svg class="icon icon-s" viewBox="0 0 24 24" aria-hidden="true"><use></use></svg>';
    box.querySelector("use").setAttribute("href", file + "#" + name);
    return box.firstChild;
  };
  const line = (words, drawing, className) => {
    const p = document.createElement("p");
    p.className = className;
    const text = document.createElement("span");
    text.className = className.startsWith("notice") ? "notice-body" : "";
    text.textContent = words;
    p.append(icon(drawing), text);
    return p;
  };
  const say = (words) => {
    saidLine.replaceChildren(line(words, "check", "desk-last"));
    alarm.replaceChildren();
  };
  const warn = (words) => alarm.replaceChildren(line(words, "warning", "notice notice-warn"));
  const announce = (words) => {
    const spoken = document.getElementById("said");
    if (spoken) spoken.textContent = words;
  };

  /* ---- the queue ---- */

  const rowOf = (id) => find('[data-row="' + CSS.escape(String(id)) + '"]', list);
  const shownItem = () => find("[data-item]", place);
  const shownId = () => (shownItem() ? shownItem().dataset.item : "");
  const current = () => {
    const link = find("[aria-current]", list);
    return link ? link.closest("[data-row]") : null;
  };
  const linkOf = (row) => row.querySelector("a");
  const parse = (html) => {
    const box = document.createElement("template");
    box.innerHTML = html;
    return box.content;
  };
  const nextOf = (row) => (row && row.nextElementSibling) || null;

  const mark = (row) => {
    list.querySelectorAll("[aria-current]").forEach((link) => link.removeAttribute("aria-current"));
    if (!row) return;
    linkOf(row).setAttribute("aria-current", "true");
    const inside = row.offsetTop - list.offsetTop;
    if (inside < list.scrollTop || inside + row.offsetHeight > list.scrollTop + list.clientHeight) {
      list.scrollTop = Math.max(0, inside - list.clientHeight / 3);
    }
  };

  const put = (node, spoken) => {
    stopExcluding();
    place.replaceChildren(node);
    place.removeAttribute("aria-busy");
    waiting = false;
    awaited = "";
    const focus = find("[data-desk-focus]", place);
    if (focus) focus.focus({ preventScroll: true });
    if (window.scrollY > 0 && place.getBoundingClientRect().top < 0) window.scrollTo({ top: 0 });
    if (spoken) announce(spoken);
  };

  const read = (id) => {
    const row = rowOf(id);
    if (ahead.has(id) || !row) return Promise.resolve();
    if (!reading.has(id)) {
      const asked = ask(linkOf(row).href)
        .then((html) => {
          const news = parse(html).querySelector("[data-outcome]");
          if (news) drop(news.dataset.gone);
          else if (rowOf(id)) ahead.set(id, html);
        })
        .finally(() => reading.delete(id));
      reading.set(id, asked);
    }
    return reading.get(id);
  };

  /* Every request ends: in words, or as a failure after a while. `data-asking`: something is on its way. */
  let asking = 0;
  const ask = (address, options = {}) => {
    asking += 1;
    desk.setAttribute("data-asking", "");
    return fetch(address, {
      credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE_MS), ...options,
      headers: { "HX-Request": "true", ...options.headers },
    }).then(answered).finally(() => {
      asking -= 1;
      desk.toggleAttribute("data-asking", asking > 0);
    });
  };
  const answered = (response) => {
    const elsewhere = response.headers.get("HX-Redirect");
    if (elsewhere) {
      posts = [];
      location.href = elsewhere;
      throw new Error("Signed out");
    }
    if (!response.ok && response.status !== 422) throw new Error(String(response.status));
    return response.text();
  };

  /* The items that come next and are not read yet, the one that is waited for first. */
  const comingIds = (count) => {
    let row = current() || list.firstElementChild;
    const ids = [];
    for (let seen = 0; row && seen <= count; seen += 1) {
      const id = row.dataset.row;
      if (id !== shownId() && !ahead.has(id)) ids.push(id);
      row = nextOf(row);
    }
    return ids;
  };
  const readAhead = async () => {
    for (const id of comingIds(AHEAD)) {
      if (sending) return;
      try { await read(id); } catch { return; }
    }
  };

  const go = (row) => {
    if (!row) return finish();
    const id = row.dataset.row;
    mark(row);
    if (ahead.has(id)) {
      put(parse(ahead.get(id)), linkOf(row).querySelector(".desk-row-title").textContent);
      history.replaceState(null, "", linkOf(row).href);
      readAhead();
      return;
    }
    const following = nextOf(row);
    waiting = true;
    awaited = id;
    place.setAttribute("aria-busy", "true");
    read(id).then(
      () => {
        /* Something else may be waited for by now. */
        if (!waiting || awaited !== id) return;
        const there = rowOf(id);
        if (there && ahead.has(id)) go(there);
        else go(following && following.parentNode === list ? following : list.firstElementChild);
        pump();
      },
      () => {
        if (awaited !== id) return;
        waiting = false;
        awaited = "";
        keys = [];
        place.removeAttribute("aria-busy");
        warn("No answer from StoreStudio. Nothing is lost: press J to try again.");
      },
    );
  };

  /* Nothing is left in the list: more of the queue may be on its way, else it is done. */
  const finish = () => {
    mark(null);
    if (posts.length || list.dataset.more) {
      waiting = true;
      place.setAttribute("aria-busy", "true");
      if (!posts.length) fetchRows().then(settle, () => {
        waiting = false;
        place.removeAttribute("aria-busy");
        warn("No answer from StoreStudio. Nothing is lost: load the page again.");
      });
      return;
    }
    settle();
  };
  const settle = () => {
    if (list.firstElementChild) {
      go(list.firstElementChild);
      pump();
      return;
    }
    const empty = find("template[data-desk-empty]");
    put(empty.content.cloneNode(true));
    history.replaceState(null, "", desk.dataset.home);
    announce(find("h2", place).textContent);
  };
  const fetchRows = async () => {
    const address = new URL(desk.dataset.home, location.href);
    address.searchParams.set("part", "rows");
    address.searchParams.set("last", lastId());
    addRows(parse(await ask(address)).querySelector('[data-part="rows"]'));
  };
  const lastId = () => (list.lastElementChild ? list.lastElementChild.dataset.row : "");
  const addRows = (part) => {
    if (!part) return;
    part.content.querySelectorAll("[data-row]").forEach((row) => {
      if (!rowOf(row.dataset.row) && !posts.some((one) => one.id === row.dataset.row)) list.append(row);
    });
    if (part.dataset.more) list.dataset.more = "1";
    else delete list.dataset.more;
  };

  /* Items that are not asked any more leave the list; if one is being looked at, we move on and say so. */
  const drop = (ids) => {
    let moved = false;
    (ids || "").split(" ").filter(Boolean).forEach((id) => {
      const row = rowOf(id);
      ahead.delete(id);
      if (id === shownId() && !waiting) {
        moved = true;
        const following = nextOf(row) || list.firstElementChild;
        if (row) row.remove();
        go(following === row ? list.firstElementChild : following);
      } else if (row) row.remove();
    });
    return moved;
  };

  /* ---- deciding ---- */

  const decide = (button) => {
    const item = shownItem();
    const form = button.form;
    if (!item || !form) return;
    if (button.dataset.key === "a" && find("[data-desk-question]", item)) {
      const question = find("[data-desk-question]", item);
      question.classList.remove("desk-shake");
      void question.offsetWidth;
      question.classList.add("desk-shake");
      announce("Answer the question first, by its number.");
      return;
    }
    if (!form.reportValidity()) return;
    const data = new URLSearchParams(new FormData(form));
    if (button.name) data.set(button.name, button.value);
    const row = rowOf(item.dataset.item);
    const post = {
      id: item.dataset.item, url: form.action, data, row, node: item, does: button.value,
      touches: item.dataset.touches, following: nextOf(row), waits: "waits" in button.dataset,
    };
    posts.push(post);
    if (post.waits) {
      waiting = true;
      place.setAttribute("aria-busy", "true");
    } else {
      leave(post);
    }
    send();
  };

  /* The item goes out of sight at once, the next one is shown. */
  const leave = (post) => {
    const following = nextOf(post.row);
    if (post.row) {
      post.row.remove();
      ahead.delete(post.id);
      if (post.does === "skip" && !list.dataset.more) list.append(post.row);
    }
    go(following || list.firstElementChild);
  };

  const send = async () => {
    if (sending) return;
    sending = true;
    desk.setAttribute("data-sending", "");
    while (posts.length) {
      const post = posts[0];
      if (post.prepare) post.prepare(post);
      post.data.set("want", comingIds(AHEAD).filter((id) => !reading.has(id)).join(","));
      if (list.dataset.more && list.childElementCount < ROWS_LOW + posts.length) {
        post.data.set("more", "1");
        post.data.set("last", lastId());
      }
      try {
        const answer = parse(await ask(post.url, { method: "POST", body: post.data, headers: { "X-CSRFToken": token() } }));
        if (!answer.querySelector("[data-outcome]")) throw new Error("500");
        posts.shift();
        take(answer, post);
      } catch (error) {
        failed(error);
      }
    }
    sending = false;
    desk.removeAttribute("data-sending");
    if (waiting && !list.firstElementChild) finish();
    else if (waiting) go(current() || list.firstElementChild);
    else readAhead();
    pump();
    if (posts.length) send();
  };
  const token = () => {
    const field = document.querySelector("[name=csrfmiddlewaretoken]");
    return field ? field.value : "";
  };

  /* The server's answer to one decision. */
  const take = (answer, post) => {
    const top = answer.querySelector("[data-outcome]");
    const part = (name) => top.querySelector('[data-part="' + name + '"]');
    const { outcome, words, gone } = top.dataset;
    if (top.dataset.reload) {
      posts = [];
      location.href = top.dataset.reload;
      return undefined;
    }
    refresh("[data-desk-bar]", part("bar"));
    refresh("[data-desk-chips]", part("chips"));
    if (part("empty")) find("template[data-desk-empty]").innerHTML = part("empty").innerHTML;
    addRows(part("rows"));
    const item = part("item");
    if (item) ahead.set(item.content.querySelector("[data-item]").dataset.item, item.innerHTML);
    forget(post);
    /* What somebody else decided is taken back only when asked twice. */
    theirs.value = outcome === "theirs" ? "1" : "";
    if (outcome === "theirs") {
      waiting = false;
      place.removeAttribute("aria-busy");
      warn(words);
      return undefined;
    }
    if (["question", "refused", "changed", "again"].includes(outcome)) comeBack(post, part("show"), words);
    else if (outcome === "undone") reopen(part("row"), part("show"), words);
    else {
      if (post.waits && post.row) {
        waiting = false;
        if (outcome === "later") post.does = "skip";
        leave(post);
      } else if (post.waits) {
        waiting = false;
        place.removeAttribute("aria-busy");
      }
      last = outcome === "skip" ? { id: post.id, url: post.url } : null;
      say(words);
      if (drop(gone) || outcome === "already") announce(words);
    }
  };
  const refresh = (where, part) => {
    const old = find(where);
    if (!part || !old) return;
    const before = {};
    old.querySelectorAll("[data-moves]").forEach((e) => { before[e.dataset.moves] = e.textContent; });
    old.replaceChildren(part.content.cloneNode(true));
    old.querySelectorAll("[data-moves]").forEach((e) => {
      if (before[e.dataset.moves] !== e.textContent) e.classList.add("moved");
    });
  };

  /* Items about the same things were read before this decision: read them anew, and show it when it is the one shown. */
  const forget = (post) => {
    const touched = new Set((post.touches || "").split(" ").filter(Boolean));
    if (!touched.size) return;
    ahead.forEach((html, id) => {
      const item = parse(html).querySelector("[data-item]");
      if (item && item.dataset.touches.split(" ").some((one) => touched.has(one))) ahead.delete(id);
    });
    const item = shownItem();
    if (item && item.dataset.item !== post.id && item.dataset.touches.split(" ").some((one) => touched.has(one))) look();
  };

  /* It was not done: back into the queue, before what is looked at now or in its place, with the reason. */
  const comeBack = (post, show, words) => {
    if (show) ahead.set(post.id, show.innerHTML);
    if (post.waits) {
      waiting = false;
      put(parse(ahead.get(post.id)), words);
      say(words);
    } else {
      const row = post.row;
      if (row) {
        row.classList.add("desk-row-back");
        const here = rowOf(shownId());
        if (here && !waiting) here.after(row);
        else list.prepend(row);
      }
      warn(words + (waiting ? "" : " It comes next."));
      if (waiting || !shownItem()) go(row || list.firstElementChild);
    }
    announce(words);
  };

  const reopen = (row, show, words) => {
    const line = row && row.content.querySelector("[data-row]");
    waiting = false;
    last = null;
    if (!line || !show) return say(words);
    const there = rowOf(line.dataset.row);
    if (there) there.remove();
    const here = rowOf(shownId());
    if (here) here.before(line);
    else list.prepend(line);
    ahead.set(line.dataset.row, show.innerHTML);
    go(line);
    say(words);
  };

  const WORDS = { 403: "You may not do this.", 404: "It is not there any more." };
  const failed = (error) => {
    const lost = posts;
    posts = [];
    keys = [];
    const why = WORDS[error.message] || (/^5/.test(error.message) ? "StoreStudio could not do it." : "No answer from StoreStudio.");
    const real = lost.filter((post) => post.row);
    real.reverse().forEach((post) => {
      post.row.classList.add("desk-row-back");
      if (post.following && post.following.parentNode === list && post.following !== post.row) post.following.before(post.row);
      else list.prepend(post.row);
      const box = document.createElement("div");
      box.append(post.node.cloneNode(true));
      ahead.set(post.id, box.innerHTML);
    });
    waiting = false;
    place.removeAttribute("aria-busy");
    const count = real.length;
    const what = count > 1 ? count + " decisions were not saved and are back in the queue." : count ? "Your decision was not saved and is back in the queue." : "Nothing was changed.";
    if (count) go(real[count - 1].row);
    warn(why + " " + what + " Try again.");
  };

  /* ---- undo ---- */

  const theirs = find("[data-desk-undo] [name=theirs]");
  const undo = () => {
    const data = new URLSearchParams();
    new URL(desk.dataset.home, location.href).searchParams.forEach((value, name) => data.set(name, value));
    waiting = true;
    /* What there is to take back is known only when all that was decided before has arrived. */
    const prepare = (post) => {
      if (last) {
        post.url = last.url;
        data.set("do", "unskip");
      } else if (theirs.value) data.set("theirs", theirs.value);
    };
    posts.push({ id: "", url: desk.dataset.undo, data, prepare, row: null, node: null, waits: true, touches: "" });
    send();
  };

  /* ---- looking at what an edit or an exclusion would do ---- */

  let looks = 0;
  let soon = 0;
  const look = () => {
    const item = shownItem();
    const form = item && find("[data-desk-form]", item);
    const effect = item && find("[data-desk-effect]", item);
    if (!effect) return;
    const mine = ++looks;
    const address = new URL(form.dataset.look, location.href);
    new FormData(form).forEach((value, name) => {
      if (name === "exclude" || name.startsWith("field-")) address.searchParams.append(name, value);
    });
    address.searchParams.set("part", "effect");
    ask(address).then(
      (html) => {
        if (mine !== looks || shownItem() !== item) return;
        const news = parse(html).querySelector("[data-outcome]");
        if (news) { say(news.dataset.words); drop(news.dataset.gone); } else effect.replaceChildren(parse(html));
      },
      () => {},
    );
  };
  place.addEventListener("input", (event) => {
    if (!event.target.matches("[data-desk-field]")) return;
    clearTimeout(soon);
    soon = setTimeout(look, 200);
  });
  place.addEventListener("change", (event) => {
    if (event.target.matches("[data-desk-exclude]")) {
      const number = event.target.dataset.deskExclude;
      place.querySelectorAll('[data-thing="' + number + '"]').forEach((e) => e.classList.toggle("desk-out", event.target.checked));
      announce((event.target.checked ? "Left out: " : "Taken back in: ") + number);
      look();
    }
  });

  const startExcluding = () => {
    const first = find("[data-desk-exclude]", place);
    if (!first) return;
    excluding = true;
    desk.classList.add("desk-excluding");
    announce("Press the number of the one to leave out.");
  };
  const stopExcluding = () => {
    excluding = false;
    desk.classList.remove("desk-excluding");
  };

  /* ---- keys ---- */

  const press = (key) => {
    if (excluding && /^[0-9]$/.test(key)) {
      const box = find('[data-desk-exclude="' + key + '"]', place);
      stopExcluding();
      if (box) box.click();
      return;
    }
    if (excluding) stopExcluding();
    if (key === "j" || key === "k") {
      const here = rowOf(shownId());
      const to = key === "j" ? (here ? nextOf(here) : list.firstElementChild) : here && here.previousElementSibling;
      if (to) go(to);
      else announce(key === "j" ? "This is the last one." : "This is the first one.");
      return;
    }
    const button = find('[data-key="' + CSS.escape(key) + '"]', place) || find('.desk-top [data-key="' + CSS.escape(key) + '"]');
    if (button) act(button);
  };

  const act = (button) => {
    if (button.disabled) return;
    switch (button.dataset.does) {
      case "open": {
        const fold = button.closest("details");
        fold.open = true;
        const field = find("input, select, textarea", fold);
        if (field) { field.focus(); if (field.select) field.select(); }
        return;
      }
      case "exclude": return startExcluding();
      case "help": return help.showModal();
      case "dialog": return openDialog(button.href || button.dataset.href);
    }
    if (button.closest("[data-desk-undo]")) return undo();
    decide(button);
  };

  const pump = () => {
    while (keys.length && !waiting && !openedDialog()) press(keys.shift());
  };
  const openedDialog = () => find("dialog[open]");
  const KEYS_OFF = "desk-keys-off";
  const stored = (value) => {
    try {
      if (value === undefined) return localStorage.getItem(KEYS_OFF) === "1";
      localStorage.setItem(KEYS_OFF, value ? "1" : "0");
    } catch { /* a device that keeps nothing */ }
    return false;
  };
  let keysOff = stored();

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const typing = event.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
    if (typing) {
      if (typing.matches("[data-desk-field]") && event.key === "Enter") {
        event.preventDefault();
        const wanted = typing.dataset.enters || '[data-key="a"]';
        const button = [...typing.form.elements].find((one) => one.matches(wanted));
        if (button) decide(button);
      } else if (event.key === "Escape" && desk.contains(typing) && !openedDialog()) {
        event.preventDefault();
        const fold = typing.closest("details[data-desk-fold]");
        if (fold) fold.open = false;
        const focus = find("[data-desk-focus]", place);
        if (focus) focus.focus({ preventScroll: true });
      }
      return;
    }
    if (openedDialog()) return;
    if (event.key === "Escape" && excluding) { stopExcluding(); return; }
    if (event.repeat || event.key.length !== 1) return;
    const key = event.key.toLowerCase();
    if (key === " ") return;
    if (key === "?") { event.preventDefault(); help.showModal(); return; }
    if (keysOff) return;
    if (key === "/") {
      const search = find("[data-desk-search]");
      event.preventDefault();
      event.stopImmediatePropagation();
      search.focus();
      search.select();
      return;
    }
    if (!/^[a-z0-9]$/.test(key)) return;
    event.preventDefault();
    keys.push(key);
    pump();
  }, true);

  const switchKeys = find("[data-desk-keys-on]");
  if (switchKeys) {
    switchKeys.checked = !keysOff;
    switchKeys.addEventListener("change", () => { keysOff = !switchKeys.checked; stored(keysOff); });
  }

  /* ---- clicks do what keys do ---- */

  desk.addEventListener("click", (event) => {
    const link = event.target.closest("[data-row] a");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
      event.preventDefault();
      if (!waiting) go(link.closest("[data-row]"));
      return;
    }
    const button = event.target.closest("[data-does]");
    if (button && button.dataset.does !== "open") {
      event.preventDefault();
      act(button);
    }
    if (event.target.closest("[data-desk-close]") && dialog && dialog.open) { event.preventDefault(); dialog.close(); }
  });
  desk.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("[data-desk-undo]")) { event.preventDefault(); if (!waiting) undo(); }
    else if (form.matches("[data-desk-form]") && event.submitter && event.submitter.formMethod !== "get") {
      event.preventDefault();
      if (!waiting) decide(event.submitter);
    }
  });

  /* ---- dialogs ---- */

  const openDialog = async (address) => {
    if (!dialog) return;
    waiting = true;
    try {
      dialog.replaceChildren(parse(await ask(address)));
      if (!dialog.open) dialog.showModal();
      const first = find("[data-desk-first], input:checked, input, button", dialog);
      if (first) first.focus();
    } catch { warn("No answer from StoreStudio."); }
    waiting = false;
  };
  if (dialog) {
    let soonAgain = 0;
    const again = (form) => {
      const address = new URL(form.action, location.href);
      address.search = new URLSearchParams(new FormData(form)).toString();
      return ask(address);
    };
    dialog.addEventListener("change", (event) => {
      const form = event.target.closest("[data-desk-levels]");
      if (!form) return;
      const value = event.target.value;
      again(form).then((html) => {
        dialog.replaceChildren(parse(html));
        const same = find('input[value="' + CSS.escape(value) + '"]', dialog);
        if (same) same.focus();
      }, () => warn("No answer from StoreStudio."));
    });
    dialog.addEventListener("input", (event) => {
      const form = event.target.closest("[data-desk-finds]");
      if (!form) return;
      clearTimeout(soonAgain);
      soonAgain = setTimeout(() => again(form).then((html) => {
        const results = parse(html).querySelector("[data-desk-results]");
        if (results) find("[data-desk-results]", dialog).replaceWith(results);
      }, () => {}), 120);
    });
    dialog.addEventListener("keydown", (event) => {
      const finds = find("[data-desk-finds]", dialog);
      if (!finds) {
        const yes = find("[data-desk-yes] button:not([disabled])", dialog);
        if (event.key === "Enter" && event.target.matches("[type=radio]") && yes) { event.preventDefault(); yes.click(); }
        return;
      }
      const choices = [...dialog.querySelectorAll("[data-desk-results] button")];
      const at = choices.indexOf(document.activeElement);
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        const to = at + (event.key === "ArrowDown" ? 1 : -1);
        if (to < 0) find("input[type=search]", dialog).focus();
        else if (choices[to]) choices[to].focus();
      } else if (event.key === "Enter" && event.target.matches("input[type=search]")) {
        event.preventDefault();
        if (choices[0]) choices[0].click();
      }
    });
    /* An answer given in the dialog is a decision like any other. */
    dialog.addEventListener("submit", (event) => {
      const form = event.target;
      if (form.matches("[data-desk-answers]") && event.submitter) {
        event.preventDefault();
        dialog.close();
        decide(event.submitter);
      } else if (form.matches("[data-desk-finds], [data-desk-levels]")) {
        event.preventDefault();
        event.stopPropagation();
      } else if (form.matches("[data-desk-yes]") && posts.length) {
        event.preventDefault();
        warn("Decisions are still on their way; try again in a moment.");
      }
    });
    dialog.addEventListener("close", () => {
      const focus = find("[data-desk-focus]", place);
      if (focus) focus.focus({ preventScroll: true });
      pump();
    });
  }

  window.addEventListener("beforeunload", (event) => { if (posts.length) event.preventDefault(); });
  if (shownItem()) ahead.set(shownId(), place.innerHTML);
  if (current()) mark(current());
  const first = find("[data-desk-focus]", place);
  if (first) first.focus({ preventScroll: true });
  readAhead();
})();

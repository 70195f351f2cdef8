%% The work of kith bench, done by Erlang: kith_peer:main(Topic) measures from this node, on peers that it starts as separate
%% operating system processes, and prints a line "name value" for each figure. bench/compare runs it.
-module(kith_peer).
-export([main/1, follow/1, sink/1, count/1, reset/1, joiner/1, members/3, groups/2, register_many/2, names/1]).

-define(PAYLOAD, binary:copy(<<0>>, 128)).
-define(ROUNDS, 5).

main([Topic]) ->
    try topic(Topic), halt(0)
    catch C:R:S -> io:format(standard_error, "~p~n", [{C, R, S}]), halt(1)
    end.

topic(node) -> boots();
topic(rpc) -> start_and_stop([b], fun([B]) -> calls(B) end);
topic(send) -> start_and_stop([b], fun([B]) -> sends(B) end);
topic(pg) -> start_and_stop([b, c], fun(Peers) -> groups(Peers) end);
topic(global) -> start_and_stop([b, c], fun(Peers) -> globals(Peers) end).

out(Name, Value) -> io:format("~s ~.3f~n", [Name, float(Value)]).

%% --- the mesh

launch(Name) ->
    {ok, [[Cookie]]} = init:get_argument(setcookie),
    {ok, [[Dir]]} = init:get_argument(pa),
    Node = list_to_atom(atom_to_list(Name) ++ "-" ++ os:getpid() ++ "@127.0.0.1"),
    Erl = os:find_executable("erl"),
    Port = open_port({spawn_executable, Erl}, [exit_status, stream, {args,
        ["-noshell", "-name", atom_to_list(Node), "-setcookie", Cookie, "-pa", Dir, "-kernel", "global_multi_name_action", "allow",
         "-eval", "kith_peer:follow('" ++ atom_to_list(node()) ++ "')"]}]),
    {Node, Port}.

%% What a peer does: it connects, and ends when the one that started it does.
follow(Starter) ->
    spawn(fun() ->
        true = net_kernel:connect_node(Starter),
        erlang:monitor_node(Starter, true),
        receive {nodedown, Starter} -> halt(0) end
    end).

start_and_stop(Names, F) ->
    ok = net_kernel:monitor_nodes(true),
    Started = [launch(N) || N <- Names],
    [receive {nodeup, Node} -> ok after 20000 -> error({no_nodeup, Node}) end || {Node, _} <- Started],
    ok = net_kernel:monitor_nodes(false),
    Nodes = [Node || {Node, _} <- Started],
    [[true = erpc:call(A, net_kernel, connect_node, [B]) || A <- Nodes, A =/= B] || B <- Nodes],
    try F(Nodes) after [rpc:cast(Node, erlang, halt, [0]) || Node <- Nodes] end.

%% --- start and death

boots() ->
    ok = net_kernel:monitor_nodes(true),
    {Ups, Downs} = lists:unzip([boot(I) || I <- lists:seq(1, 15)]),
    out("boot_to_nodeup_p50_ms", quantile(Ups, 0.5) / 1.0e6),
    out("nodedown_kill_p50_ms", quantile(Downs, 0.5) / 1.0e6).

boot(I) ->
    T0 = now_ns(),
    {Node, Port} = launch(list_to_atom("n" ++ integer_to_list(I))),
    receive {nodeup, Node} -> ok after 20000 -> error(no_nodeup) end,
    Up = now_ns() - T0,
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    %% erl is a shell script that becomes the emulator; ask the node itself who it is.
    Real = erpc:call(Node, os, getpid, []),
    _ = Pid,
    case I of 1 -> rss(Real); _ -> ok end,
    Kill = open_port({spawn_executable, os:find_executable("kill")}, [{args, ["-9", Real]}]),
    T1 = now_ns(),
    receive {nodedown, Node} -> ok after 20000 -> error(no_nodedown) end,
    Down = now_ns() - T1,
    catch port_close(Kill),
    {Up, Down}.

rss(Pid) ->
    timer:sleep(3000),
    case file:read_file("/proc/" ++ Pid ++ "/status") of
        {ok, Text} ->
            {match, [Kb]} = re:run(Text, "VmRSS:\\s*(\\d+)", [{capture, all_but_first, list}]),
            out("rss_idle_kb", list_to_integer(Kb));
        _ -> ok
    end.

%% --- calls

calls(B) ->
    P = ?PAYLOAD,
    Call = fun() -> P = erpc:call(B, erlang, hd, [[P]]) end,
    parallel(64, 300, Call),
    {Times, Rates} = rounds(?ROUNDS, fun() -> {timed(500, Call), parallel(64, 800, Call)} end),
    All = lists:append(Times),
    out("rpc_remote_p50_us", quantile(All, 0.5) / 1000),
    out("rpc_remote_p99_us", quantile(All, 0.99) / 1000),
    out("rpc_parallel_per_s", median(Rates)),
    Here = timed(1000, fun() -> P = erpc:call(node(), erlang, hd, [[P]]) end),
    out("rpc_local_p50_us", quantile(Here, 0.5) / 1000).

rounds(N, F) -> lists:unzip([F() || _ <- lists:seq(1, N)]).

timed(Ms, F) -> timed(now_ns() + Ms * 1000000, F, []).
timed(End, F, Acc) ->
    T0 = now_ns(),
    F(),
    T1 = now_ns(),
    if T1 >= End -> [T1 - T0 | Acc]; true -> timed(End, F, [T1 - T0 | Acc]) end.

parallel(Callers, Ms, F) ->
    Self = self(),
    T0 = now_ns(),
    End = T0 + Ms * 1000000,
    Pids = [spawn_link(fun() -> Self ! {self(), again(End, F, 0)} end) || _ <- lists:seq(1, Callers)],
    Sum = lists:sum([receive {Pid, N} -> N end || Pid <- Pids]),
    Sum * 1.0e9 / (now_ns() - T0).

again(End, F, N) ->
    F(),
    case now_ns() >= End of true -> N + 1; false -> again(End, F, N + 1) end.

%% --- messages

%% sink is a process that counts what it receives, into a counter that others can read.
sink(Ref) -> spawn(fun() -> sink_loop(Ref) end).
sink_loop(Ref) -> receive _ -> counters:add(Ref, 1, 1), sink_loop(Ref) end.

ref() ->
    case persistent_term:get(got, none) of
        none -> Ref = counters:new(1, [atomics]), persistent_term:put(got, Ref), Ref;
        Ref -> Ref
    end.

reset(_) -> counters:put(ref(), 1, 0).
count(Want) ->
    case counters:get(ref(), 1) >= Want of true -> ok; false -> timer:sleep(1), count(Want) end.

members(Scope, Group, N) ->
    scope(Scope),
    Ref = ref(),
    pg:join(Scope, Group, [sink(Ref) || _ <- lists:seq(1, N)]).

sends(B) ->
    Pid = hd(erpc:call(B, fun() -> [sink(ref())] end)),
    send_for(B, Pid),
    out("send_remote_per_s", median([send_for(B, Pid) || _ <- lists:seq(1, ?ROUNDS)])),
    out("send_local_ns", median([send_local() || _ <- lists:seq(1, ?ROUNDS)])),
    out("spawn_ns", median([spawns() || _ <- lists:seq(1, ?ROUNDS)])).

send_for(B, Pid) ->
    erpc:call(B, ?MODULE, reset, [0]),
    T0 = now_ns(),
    N = send_until(T0 + 1000000000, Pid, ?PAYLOAD, 0),
    erpc:call(B, ?MODULE, count, [N], 60000),
    N * 1.0e9 / (now_ns() - T0).

send_until(End, Pid, P, N) ->
    [Pid ! P || _ <- "0123456789abcdef"],
    case now_ns() >= End of true -> N + 16; false -> send_until(End, Pid, P, N + 16) end.

send_local() ->
    N = 500000,
    Self = self(),
    P = ?PAYLOAD,
    T0 = now_ns(),
    Pid = spawn_link(fun() -> drain(N), Self ! done end),
    flood(N, Pid, P),
    receive done -> ok end,
    (now_ns() - T0) / N.

drain(0) -> ok;
drain(N) -> receive _ -> drain(N - 1) end.
flood(0, _, _) -> ok;
flood(N, Pid, P) -> Pid ! P, flood(N - 1, Pid, P).

spawns() ->
    N = 100000,
    Self = self(),
    T0 = now_ns(),
    spawn_all(N, Self),
    drain(N),
    (now_ns() - T0) / N.
spawn_all(0, _) -> ok;
spawn_all(N, Self) -> spawn(fun() -> Self ! done end), spawn_all(N - 1, Self).

%% --- groups

scope(Name) -> case pg:start(Name) of {ok, _} -> ok; {error, {already_started, _}} -> ok end.

groups([B, C] = Peers) ->
    All = [node() | Peers],
    [ok = erpc:call(N, fun() -> scope(s), ok end) || N <- All],
    [ok = erpc:call(N, ?MODULE, members, [s, g, 10]) || N <- Peers],
    until(fun() -> length(pg:get_members(s, g)) =:= 20 end),
    broadcast(Peers, g, 10, 0, 300),
    out("pg_broadcast_deliveries_per_s", median([broadcast(Peers, g, 10, 0, 700) || _ <- lists:seq(1, ?ROUNDS)])),
    join_visible(B),
    joins([B, C]),
    fanout(B).

%% What is sent to every member of a group, as pg's documentation does it.
broadcast(Peers, Group, Each, Here, Ms) ->
    [erpc:call(N, ?MODULE, reset, [0]) || N <- [node() | Peers]],
    P = ?PAYLOAD,
    T0 = now_ns(),
    N = broadcast_until(T0 + Ms * 1000000, Group, P, 0),
    [erpc:call(Node, ?MODULE, count, [N * Each], 60000) || Node <- Peers],
    count(N * Here),
    N * (Each * length(Peers) + Here) * 1.0e9 / (now_ns() - T0).

broadcast_until(End, Group, P, N) ->
    [Pid ! P || Pid <- pg:get_members(s, Group)],
    case now_ns() >= End of true -> N + 1; false -> broadcast_until(End, Group, P, N + 1) end.

joiner(Group) -> spawn(fun() -> joiner_loop(Group) end).
joiner_loop(Group) ->
    receive join -> ok = pg:join(s, Group, self()) end,
    receive leave -> ok = pg:leave(s, Group, self()) end,
    joiner_loop(Group).

join_visible(B) ->
    Pid = erpc:call(B, ?MODULE, joiner, [visible]),
    {Ref, []} = pg:monitor(s, visible),
    Times = visible_until(now_ns() + 2000000000, Pid, Ref, []),
    out("pg_join_visible_p50_us", quantile(Times, 0.5) / 1000),
    pg:demonitor(s, Ref).

visible_until(End, Pid, Ref, Acc) ->
    T0 = now_ns(),
    Pid ! join,
    receive {Ref, join, visible, [Pid]} -> ok end,
    T1 = now_ns(),
    Pid ! leave,
    receive {Ref, leave, visible, [Pid]} -> ok end,
    case T1 >= End of true -> [T1 - T0 | Acc]; false -> visible_until(End, Pid, Ref, [T1 - T0 | Acc]) end.

%% One process joins group after group, until all three nodes see them all.
joins(Peers) ->
    Count = 50000,
    out("pg_joins_per_s", median([joins(Peers, list_to_atom("joins" ++ integer_to_list(I)), Count) || I <- lists:seq(1, ?ROUNDS)])).

joins(Peers, Scope, Count) ->
    [ok = erpc:call(N, fun() -> scope(Scope), ok end) || N <- [node() | Peers]],
    Pid = sink(ref()),
    T0 = now_ns(),
    [ok = pg:join(Scope, {group, I}, Pid) || I <- lists:seq(1, Count)],
    [ok = erpc:call(N, ?MODULE, groups, [Scope, Count], 60000) || N <- Peers],
    Rate = Count * 1.0e9 / (now_ns() - T0),
    exit(Pid, kill),
    [erpc:call(N, fun() -> exit(whereis(Scope), kill), ok end) || N <- [node() | Peers]],
    Rate.

groups(Scope, Count) ->
    case ets:info(Scope, size) >= Count of true -> ok; false -> timer:sleep(1), groups(Scope, Count) end.

fanout(B) ->
    ok = members(s, many, 5000),
    ok = erpc:call(B, ?MODULE, members, [s, many, 5000]),
    until(fun() -> length(pg:get_members(s, many)) =:= 10000 end),
    broadcast([B], many, 5000, 5000, 300),
    out("pg_fanout_deliveries_per_s", median([broadcast([B], many, 5000, 5000, 1000) || _ <- lists:seq(1, ?ROUNDS)])).

%% --- names

globals(Peers) ->
    ok = global:sync(),
    Self = self(),
    Times = register_until(now_ns() + 2000000000, Self, 0, []),
    out("global_register_p50_us", quantile(Times, 0.5) / 1000),
    %% As many callers on each node as help: global takes one lock for the whole mesh.
    Count = 200,
    Before = length(global:registered_names()),
    T0 = now_ns(),
    Refs = [{N, erpc:send_request(N, ?MODULE, register_many, [N, Count])} || N <- [node() | Peers]],
    [ok = erpc:receive_response(R, 60000) || {_, R} <- Refs],
    [ok = erpc:call(N, ?MODULE, names, [Before + Count * length(Refs)], 60000) || N <- [node() | Peers]],
    out("global_registers_per_s", Count * length(Refs) * 1.0e9 / (now_ns() - T0)),
    Look = fun() -> [global:whereis_name({one, I}) || I <- lists:seq(1, 1000)] end,
    out("global_whereis_ns", median([begin T = now_ns(), Look(), (now_ns() - T) / 1000 end || _ <- lists:seq(1, 51)])).

register_until(End, Pid, I, Acc) ->
    T0 = now_ns(),
    yes = global:register_name({one, I}, Pid),
    T1 = now_ns(),
    case T1 >= End of true -> [T1 - T0 | Acc]; false -> register_until(End, Pid, I + 1, [T1 - T0 | Acc]) end.

register_many(Prefix, Count) ->
    Pid = spawn(fun() -> receive after infinity -> ok end end),
    [yes = global:register_name({Prefix, I}, Pid) || I <- lists:seq(1, Count)],
    ok.

names(Want) ->
    case length(global:registered_names()) >= Want of true -> ok; false -> timer:sleep(1), names(Want) end.

%% --- the rest

until(F) -> case F() of true -> ok; false -> timer:sleep(1), until(F) end.
now_ns() -> erlang:monotonic_time(nanosecond).
quantile(List, Q) -> lists:nth(1 + trunc(Q * (length(List) - 1)), lists:sort(List)).
median(List) -> quantile(List, 0.5).

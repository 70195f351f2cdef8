%% The Erlang peer of the process benchmarks: one process sends messages to one process on another node.
-module(send).
-export([sink/0, run/1]).

%% sink is the receiver: it counts, and answers when it has seen as many as it was told.
sink() ->
    register(sink, self()),
    io:format("ready~n"),
    loop().

loop() ->
    receive
        {expect, From, N} -> From ! ready, count(N), From ! done, loop();
        stop -> init:stop()
    end.

count(0) -> ok;
count(N) -> receive {data, _} -> count(N - 1) end.

%% run sends N messages of Size bytes to the sink of Node, and prints the nanoseconds that each took.
run([Node, N, Size]) ->
    To = {sink, list_to_atom(Node)},
    Count = list_to_integer(N),
    Data = binary:copy(<<"x">>, list_to_integer(Size)),
    To ! {expect, self(), Count},
    receive ready -> ok end,
    Pid = rpc:call(list_to_atom(Node), erlang, whereis, [sink]),
    Start = erlang:monotonic_time(nanosecond),
    send(Pid, {data, Data}, Count),
    receive done -> ok end,
    io:format("~p~n", [(erlang:monotonic_time(nanosecond) - Start) / Count]),
    init:stop().

send(_, _, 0) -> ok;
send(Pid, Msg, N) -> Pid ! Msg, send(Pid, Msg, N - 1).
